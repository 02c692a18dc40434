/** Which processes belong to one we started: its children, their children, and whatever carries its marker. */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { runCommand, treeMarker } from './child-process.ts';

type Row = { pid: number; parent: number; zombie: boolean };

/** The living processes of a tree. The server itself is never among them. */
export async function listTree(root: number, marker: string): Promise<number[]> {
  const members = new Set(await listMarked((value) => value === marker));
  // A dead root has no children any more: who outlived it is found by the marker alone, which costs far less.
  if (isAlive(root)) await addDescendants(members, root);
  members.delete(process.pid);
  return [...members].filter(isAlive);
}

/**
 * Whether a tree holds nothing but one command and the wrappers that started it.
 * @param command as it stands in the command line of its process, first or behind an interpreter
 */
export async function isAlone(root: number, marker: string, command: string): Promise<boolean> {
  const members = new Set(await listTree(root, marker));
  const rows = (await listProcesses()).filter(({ pid }) => members.has(pid));
  const isCommand = (pid: number) => readArguments(pid).slice(0, 3).includes(command);
  const agent = process.platform === 'linux' ? rows.find(({ pid }) => isCommand(pid))?.pid : root;
  if (agent === undefined) return false;
  // From the agent up to the root are the wrappers.
  let wrapper: number | undefined = agent;
  while (wrapper !== undefined && members.has(wrapper)) {
    members.delete(wrapper);
    const above: number | undefined = rows.find(({ pid }) => pid === wrapper)?.parent;
    wrapper = above;
  }
  return members.size === 0;
}

/**
 * Processes whose marker satisfies a test, such as those that a dead server left. Linux only: elsewhere another
 * process's environment cannot be read and the answer is empty.
 */
export async function listMarked(test: (marker: string) => boolean): Promise<number[]> {
  if (process.platform !== 'linux') return [];
  const pids = linuxPids();
  forgetStrangers(new Set(pids));
  const found: number[] = [];
  for (const pid of pids) {
    if (strangers.has(pid) || pid === process.pid) continue;
    const marker = readMarker(pid);
    if (marker === undefined) rememberStranger(pid);
    else if (test(marker)) found.push(pid);
  }
  return found;
}

/**
 * Processes that have been looked at and carry no marker: a process never gains one later, so each is read once and
 * a look costs one listing of /proc. A child of ours is left out, since between fork and exec it has none yet.
 */
const strangers = new Set<number>();

let lastLook = 0;
const rememberedMs = 30_000;

/** Those that have ended; and all of them after a while without a look, since a number may be another's by then. */
function forgetStrangers(living: Set<number>): void {
  const now = performance.now();
  if (now - lastLook > rememberedMs) strangers.clear();
  lastLook = now;
  for (const pid of strangers) if (!living.has(pid)) strangers.delete(pid);
}

function rememberStranger(pid: number): void {
  const row = readStat(pid);
  // A zombie of a sandbox may lie about until init reaps it; it runs nothing any more.
  if (row && (row.zombie || row.parent !== process.pid)) strangers.add(pid);
}

function readMarker(pid: number): string | undefined {
  const environment = `\0${readKernelFile(`/proc/${pid}/environ`)}`;
  const start = environment.indexOf(`\0${treeMarker}=`);
  return start === -1 ? undefined : environment.slice(start + treeMarker.length + 2).split('\0', 1)[0];
}

function readArguments(pid: number): string[] {
  return readKernelFile(`/proc/${pid}/cmdline`).split('\0');
}

async function addDescendants(members: Set<number>, root: number): Promise<void> {
  const rows = await listProcesses();
  members.add(root);
  // Parents may come after their children in the list, so go on until nothing is added.
  for (let before = 0; before !== members.size; ) {
    before = members.size;
    for (const row of rows) if (members.has(row.parent)) members.add(row.pid);
  }
}

async function listProcesses(): Promise<Row[]> {
  if (process.platform === 'linux') {
    return linuxPids()
      .map(readStat)
      .filter((row) => row !== undefined)
      .filter((row) => !row.zombie);
  }
  const { stdout } = await runCommand('/bin/ps', ['-axo', 'pid=,ppid='], { cwd: '/', env: {}, timeoutMs: 5000 });
  return stdout
    .toString('utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([pid, parent]) => (pid && parent !== undefined ? [{ pid, parent, zombie: false }] : []));
}

/** `undefined`: gone. */
function readStat(pid: number): Row | undefined {
  const stat = readKernelFile(`/proc/${pid}/stat`);
  // pid (name) state ppid ...: the name may hold spaces and parentheses.
  const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return parent ? { pid, parent: Number(parent), zombie: state === 'Z' } : undefined;
}

function linuxPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

const readBuffer = Buffer.allocUnsafe(64 * 1024);

/**
 * Empty when the process is gone or another user's. Nothing here waits for a disk, and the asynchronous way takes several
 * turns and a large buffer for each of these small files, which was most of what a run cost the server.
 */
function readKernelFile(path: string): string {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    let text = '';
    for (let size = readSync(file, readBuffer); size > 0; size = readSync(file, readBuffer)) {
      text += readBuffer.toString('latin1', 0, size);
    }
    return text;
  } catch {
    return '';
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
