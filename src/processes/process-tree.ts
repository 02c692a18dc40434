/** Finds the processes that belong to one we started: its descendants, and every process with its marker. */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { runCommand, treeMarker } from './child-process.ts';
import { isAlive } from './signals.ts';

type Row = { pid: number; parent: number; zombie: boolean };

/** The living processes of a tree. The server itself is never among them. */
export async function listTree(root: number, marker: string): Promise<number[]> {
  const members = new Set(await listMarked((value) => value === marker));
  // A dead root has no children any more. Processes that outlived it are found by the marker alone, which costs far less.
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
 * The processes whose marker satisfies a test, such as the orphans of a dead server. Linux only: elsewhere the environment
 * of another process cannot be read, and the list is empty.
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
 * Processes that have no marker. A process never gets one later, so each is read once, and a search costs one listing of
 * /proc. A child of ours is not remembered, since between fork and exec it has no marker yet.
 */
const strangers = new Set<number>();

let lastSearch = 0;
const rememberedMs = 30_000;

/** Forgets those that have ended; and all of them after a while without a search, since a pid may be in use again. */
function forgetStrangers(living: Set<number>): void {
  const now = performance.now();
  if (now - lastSearch > rememberedMs) strangers.clear();
  lastSearch = now;
  for (const pid of strangers) if (!living.has(pid)) strangers.delete(pid);
}

function rememberStranger(pid: number): void {
  const row = readStat(pid);
  // A zombie of a sandbox may exist until init reaps it; it runs nothing any more.
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
  // Parents may come after their children in the list, so this repeats until nothing is added.
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
 * Empty when the process is gone or belongs to another user. The kernel answers without waiting for a disk. Asynchronous
 * reads of these small files took most of the server's CPU for a run: several steps and a large buffer for each file.
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
