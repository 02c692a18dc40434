/** Starts a command, and runs one to its end. The only user of `node:child_process`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { sendSignal } from './signals.ts';

/**
 * Every process that we start has this environment variable, and all its descendants inherit it. By it `process-tree.ts`
 * finds a grandchild that has left its process group and its parent.
 */
export const treeMarker = 'CLAUDE_AGENT_SERVER_TREE';

export type StartOptions = {
  cwd: string;
  env: Record<string, string | undefined>;
  stdin: 'ignore' | 'pipe';
  /** Unique; becomes the value of the tree marker. */
  marker: string;
};

export type Exit = { code: number | null; signal: NodeJS.Signals | null };

export type StartedProcess = {
  pid: number;
  marker: string;
  child: ChildProcess;
  /** Settles when the process itself has ended, also when a grandchild still holds its pipes. Never rejects. */
  exited: Promise<Exit>;
};

/**
 * Starts a command as the leader of its own process group. Rejects with Node's system error (`ENOENT`, `EACCES`,
 * `E2BIG`, ...) when it cannot be started.
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
    // A pipe breaks when the process ends, and `exited` reports that.
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
  /** After this time, in milliseconds, the command and its process group get SIGKILL. */
  timeoutMs: number;
  /** SIGTERM first, and SIGKILL this many milliseconds later, for a command that must remove its locks. Default 0. */
  graceMs?: number;
  signal?: AbortSignal;
  /** Written to the command's standard input, which is empty otherwise. */
  input?: string | Buffer;
  /** More than this on stdout ends the command, and the excess is dropped; stderr keeps its end. Default 16 MiB. */
  maxOutputBytes?: number;
  /** The tree marker of its processes. */
  marker?: string;
  /** Called when the command itself has ended, and awaited: processes of its tree may still hold its pipes. */
  onExit?: (started: StartedProcess) => Promise<void>;
};

export type CommandResult = Exit & {
  stdout: Buffer;
  stderr: string;
  /** Why the command was ended. Absent: it ended by itself. */
  stopped?: 'timeout' | 'aborted' | 'output_too_large';
};

const stderrLimit = 64 * 1024;

/** Runs a command to its end and collects what it prints. Rejects only when it cannot be started. */
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
    // A grandchild may hold the pipes open, and its output is not needed.
    child.stdout?.destroy();
    child.stderr?.destroy();
  };
  const deadline = setTimeout(stop, options.timeoutMs, 'timeout');
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
  clearTimeout(kill);
  options.signal?.removeEventListener('abort', onAbort);
  return { ...result, ...exit, stdout, stderr };
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
