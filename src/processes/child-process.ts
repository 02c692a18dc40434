/** Starts commands, and runs commands to their end. This is the only file that uses `node:child_process`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { sendSignal } from './signals.ts';

/**
 * The environment variable that marks every process that the server starts. All descendants of the process inherit it,
 * so `process-tree.ts` finds even a grandchild that has left its process group and its parent.
 */
export const treeMarker = 'CLAUDE_AGENT_SERVER_TREE';

export type StartOptions = {
  cwd: string;
  env: Record<string, string | undefined>;
  stdin: 'ignore' | 'pipe';
  /** The value of the environment variable `treeMarker`. It must be unique. */
  marker: string;
};

export type Exit = { code: number | null; signal: NodeJS.Signals | null };

export type StartedProcess = {
  pid: number;
  marker: string;
  child: ChildProcess;
  /** Settles when the process itself has ended, even if a grandchild still holds its pipes open. Never rejects. */
  exited: Promise<Exit>;
};

/**
 * Starts a command as the leader of its own process group. Rejects with Node's system error (`ENOENT`, `EACCES`,
 * `E2BIG`, ...) if the command cannot be started.
 */
export function startProcess(command: string, args: string[], options: StartOptions): Promise<StartedProcess> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...options.env, [treeMarker]: options.marker },
      stdio: [options.stdin, 'pipe', 'pipe'],
      detached: true,
    });
    const exited = new Promise<Exit>((settle) => {
      child.once('exit', (code, signal) => settle({ code, signal }));
    });
    // Writing to a process that has ended causes an error. It is ignored, because `exited` reports the end.
    child.stdin?.on('error', () => {});
    child.once('error', reject);
    child.once('spawn', () => {
      resolve({ pid: child.pid as number, marker: options.marker, child, exited });
    });
  });
}

export type CommandOptions = {
  cwd: string;
  env: Record<string, string | undefined>;
  /** How long the command may run, in milliseconds. Then it is stopped with its process group. */
  timeoutMs: number;
  /**
   * How long after SIGTERM a stopped command gets SIGKILL, in milliseconds, so that it can remove its locks. The
   * default is 0: the command gets SIGKILL at once, without SIGTERM.
   */
  graceMs?: number;
  signal?: AbortSignal;
  /** Whether the command is stopped when it waits for somebody to open the other end of a named pipe. Only on Linux. */
  refusesPipes?: boolean;
  /** The content of the command's standard input. Undefined if the input is empty. */
  input?: string | Buffer;
  /** How much of stdout is kept, in bytes. A command that prints more is stopped. The default is 16 MiB. */
  maxOutputBytes?: number;
  /** The value of the environment variable `treeMarker` for its processes. */
  marker?: string;
  /**
   * Called when the command itself has ended. Other processes of its tree may still hold its pipes open. `runCommand`
   * waits for the returned promise.
   */
  onExit?: (started: StartedProcess) => Promise<void>;
};

/** `waits_at_pipe` only with `refusesPipes`. */
export type StopReason = 'timeout' | 'aborted' | 'output_too_large' | 'waits_at_pipe';

export type CommandResult = Exit & {
  stdout: Buffer;
  stderr: string;
  /** Why the command was stopped. Undefined if it ended by itself. */
  stopped?: StopReason;
};

/** How much of the end of stderr is kept, in bytes. */
const stderrLimit = 64 * 1024;

/** Runs a command to its end and collects its output. Rejects only if the command cannot be started. */
export async function runCommand(command: string, args: string[], options: CommandOptions): Promise<CommandResult> {
  const started = await startProcess(command, args, {
    cwd: options.cwd,
    env: options.env,
    stdin: options.input === undefined ? 'ignore' : 'pipe',
    marker: options.marker ?? 'command',
  });
  const { child, pid, exited } = started;
  const result: CommandResult = { code: null, signal: null, stdout: Buffer.alloc(0), stderr: '' };
  let kill: NodeJS.Timeout | undefined;
  const stop = (why: CommandResult['stopped']) => {
    result.stopped ??= why;
    if (options.graceMs) {
      sendSignal(-pid, 'SIGTERM');
      kill ??= setTimeout(sendSignal, options.graceMs, -pid, 'SIGKILL');
    } else sendSignal(-pid, 'SIGKILL');
    // The pipes are closed, because a grandchild may hold them open, and its output is not needed.
    child.stdout?.destroy();
    child.stderr?.destroy();
  };
  const deadline = setTimeout(stop, options.timeoutMs, 'timeout');
  const unwatch = options.refusesPipes ? watchForPipes(pid, () => stop('waits_at_pipe')) : undefined;
  const onAbort = () => stop('aborted');
  options.signal?.addEventListener('abort', onAbort, { once: true });
  if (options.signal?.aborted) onAbort();
  if (options.input !== undefined) child.stdin?.end(options.input);
  const [stdout, stderr, exit] = await Promise.all([
    collect(child.stdout, options.maxOutputBytes ?? 16 * 1024 * 1024, () => stop('output_too_large')),
    collectTail(child.stderr, stderrLimit),
    exited,
    exited.then(() => options.onExit?.(started)),
  ]);
  clearTimeout(deadline);
  unwatch?.();
  clearTimeout(kill);
  options.signal?.removeEventListener('abort', onAbort);
  return { ...result, ...exit, stdout, stderr };
}

/** How often a command is looked at, in milliseconds. */
const watchMs = 1000;

/**
 * Calls `onWait` when a process is seen twice in a row in the kernel's function that waits for the other end of a named
 * pipe (`fs/pipe.c` in Linux). Where the kernel does not tell it, `onWait` is never called. Returns a function that ends
 * the watch.
 */
function watchForPipes(pid: number, onWait: () => void): () => void {
  let waited = false;
  const timer = setInterval(async () => {
    const waits = (await readFile(`/proc/${pid}/wchan`, 'utf8').catch(() => '')) === 'wait_for_partner';
    if (waits && waited) onWait();
    waited = waits;
  }, watchMs);
  return () => clearInterval(timer);
}

async function collect(stream: NodeJS.ReadableStream | null, limit: number, onLimit: () => void): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  await consume(stream, (chunk) => {
    if (size < limit) chunks.push(chunk.subarray(0, limit - size));
    size += chunk.length;
    if (size > limit) onLimit();
  });
  return Buffer.concat(chunks);
}

async function collectTail(stream: NodeJS.ReadableStream | null, limit: number): Promise<string> {
  let tail: Buffer = Buffer.alloc(0);
  await consume(stream, (chunk) => {
    tail = Buffer.concat([tail, chunk]).subarray(-limit);
  });
  return tail.toString('utf8');
}

function consume(stream: NodeJS.ReadableStream | null, onChunk: (chunk: Buffer) => void): Promise<void> {
  return new Promise((resolve) => {
    stream?.on('data', onChunk).once('close', resolve).once('error', resolve);
    if (!stream) resolve();
  });
}
