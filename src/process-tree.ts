/** Which processes belong to one we started: its children, their children, and those that carry its marker. */
import { readdir, readFile } from 'node:fs/promises';
import { runCommand, treeMarker } from './child-process.ts';

type Row = { pid: number; parent: number };

/** The living processes of a tree, the root first if it lives. The server itself is never among them. */
export async function listTree(root: number, marker: string): Promise<number[]> {
  const rows = await listProcesses();
  const members = new Set<number>([root]);
  for (const pid of await listMarked((value) => value === marker)) members.add(pid);
  // Parents may come after their children in the list, so go on until nothing is added.
  for (let before = 0; before !== members.size; ) {
    before = members.size;
    for (const row of rows) if (members.has(row.parent)) members.add(row.pid);
  }
  members.delete(process.pid);
  return rows.filter((row) => members.has(row.pid)).map((row) => row.pid);
}

/**
 * Processes whose marker satisfies a test, such as those that a dead server left. Linux only: elsewhere another
 * process's environment cannot be read and the answer is empty.
 */
export async function listMarked(test: (marker: string) => boolean): Promise<number[]> {
  if (process.platform !== 'linux') return [];
  const found: number[] = [];
  for (const pid of await linuxPids()) {
    const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
    const start = environment.startsWith(`${treeMarker}=`) ? 0 : environment.indexOf(`\0${treeMarker}=`) + 1;
    if (start === 0 && !environment.startsWith(`${treeMarker}=`)) continue;
    const marker = environment.slice(start + treeMarker.length + 1).split('\0', 1)[0] ?? '';
    if (test(marker) && pid !== process.pid) found.push(pid);
  }
  return found;
}

async function listProcesses(): Promise<Row[]> {
  if (process.platform === 'linux') return listLinuxProcesses();
  const { stdout } = await runCommand('/bin/ps', ['-axo', 'pid=,ppid='], { cwd: '/', env: {}, timeoutMs: 5000 });
  return stdout
    .toString('utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([pid, parent]) => (pid && parent !== undefined ? [{ pid, parent }] : []));
}

async function listLinuxProcesses(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const pid of await linuxPids()) {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
    // pid (name) state ppid ...: the name may hold spaces and parentheses.
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (parent && state !== 'Z') rows.push({ pid, parent: Number(parent) });
  }
  return rows;
}

async function linuxPids(): Promise<number[]> {
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
}
