/** Finds the processes that belong to a started process: its descendants, and every process with its marker. */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { runCommand, treeMarker } from './child-process.ts';
import { isAlive } from './signals.ts';

type Row = { pid: number; parent: number; zombie: boolean };

/** Returns the living processes of a tree, but never the server itself. */
export async function listTree(root: number, marker: string): Promise<number[]> {
  const members = new Set(await listMarked((value) => value === marker));
  // A dead root has no children any more. The processes that have outlived it are found by the marker alone, which
  // costs far less.
  if (isAlive(root)) await addDescendants(members, root);
  members.delete(process.pid);
  return [...members].filter(isAlive);
}

/**
 * Returns whether a tree contains only a command and the wrappers that started it.
 * @param command a path that is one of the first three words of the command line: an interpreter may come first
 */
export async function isAlone(root: number, marker: string, command: string): Promise<boolean> {
  const members = new Set(await listTree(root, marker));
  const rows = (await listProcesses()).filter(({ pid }) => members.has(pid));
  const isCommand = (pid: number) => readArguments(pid).slice(0, 3).includes(command);
  const agent = process.platform === 'linux' ? rows.find(({ pid }) => isCommand(pid))?.pid : root;
  if (agent === undefined) return false;
  // The wrappers are the processes from the agent up to the root.
  let wrapper: number | undefined = agent;
  while (wrapper !== undefined && members.has(wrapper)) {
    members.delete(wrapper);
    const above: number | undefined = rows.find(({ pid }) => pid === wrapper)?.parent;
    wrapper = above;
  }
  return members.size === 0;
}

/**
 * Returns the processes whose marker passes a test, such as the orphans of a dead server. Returns an empty list on
 * other systems than Linux, where the environment of another process cannot be read.
 */
export async function listMarked(test: (marker: string) => boolean): Promise<number[]> {
  if (process.platform !== 'linux') return [];
  const pids = linuxPids();
  forgetStrangers(new Set(pids));
  const found: number[] = [];
  for (const pid of pids) {
    if (strangers.has(pid) || pid === process.pid) continue;
    const environment = readKernelFile(`/proc/${pid}/environ`);
    const marker = markerIn(environment);
    // A process that is just being replaced by another command (`exec`) shows no environment for a moment.
    if (marker === undefined) rememberStranger(pid, environment !== '');
    else if (test(marker)) found.push(pid);
  }
  return found;
}

/**
 * Processes that have no marker. A process never gets a marker later, so its environment is read only once, and a
 * search costs little more than one listing of /proc. Children of the server are not remembered, since a child has no
 * marker between fork and exec.
 */
const strangers = new Set<number>();

let lastSearch = 0;
/** How long unmarked processes are remembered without a search, in milliseconds. */
const rememberedMs = 30_000;

/**
 * Forgets the unmarked processes that have ended. Forgets all of them if there was no search for a while, because their
 * pids may belong to new processes.
 */
function forgetStrangers(living: Set<number>): void {
  const now = performance.now();
  if (now - lastSearch > rememberedMs) strangers.clear();
  lastSearch = now;
  for (const pid of strangers) if (!living.has(pid)) strangers.delete(pid);
}

/** The parent of the kernel's own processes. */
const kernelParent = 2;

function rememberStranger(pid: number, hasEnvironment: boolean): void {
  const row = readStat(pid);
  if (!row) return;
  // A zombie runs nothing any more, so it is remembered even if it is a child of the server that has not been reaped
  // yet.
  const isKnown = hasEnvironment ? row.parent !== process.pid : row.parent === kernelParent;
  if (row.zombie || isKnown) strangers.add(pid);
}

function markerIn(environment: string): string | undefined {
  const text = `\0${environment}`;
  const start = text.indexOf(`\0${treeMarker}=`);
  return start === -1 ? undefined : text.slice(start + treeMarker.length + 2).split('\0', 1)[0];
}

function readArguments(pid: number): string[] {
  return readKernelFile(`/proc/${pid}/cmdline`).split('\0');
}

async function addDescendants(members: Set<number>, root: number): Promise<void> {
  const rows = await listProcesses();
  members.add(root);
  // Parents may come after their children in the list, so this repeats until no process is added.
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

/** Reads the parent and the state of a process. Returns undefined if the process no longer exists. */
function readStat(pid: number): Row | undefined {
  const stat = readKernelFile(`/proc/${pid}/stat`);
  // The file contains `pid (name) state ppid ...`. The name may contain spaces and parentheses.
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
 * Reads a file in /proc. Returns an empty text if the process no longer exists or belongs to another user. Reads
 * synchronously, because the kernel answers without waiting for a disk. Asynchronous reads of these small files took
 * most of the server's CPU time for a run, because each needs several steps and a large buffer.
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
