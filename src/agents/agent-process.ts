/** One running agent: lines in, lines out, and one end. */

import { ServiceError } from '../errors.ts';
import { type Exit, type StartedProcess, startProcess } from '../processes/child-process.ts';
import { endProcess } from '../processes/end-process.ts';
import { isAlone } from '../processes/process-tree.ts';
import { settledWithin } from '../waits.ts';
import { failureOfStart } from './failure.ts';
import { LineSplitter } from './line-splitter.ts';

/** How a process is started; made by `agents.ts` from the settings, the task and the sandbox. */
export type Launch = {
  /** What is started; a sandbox's when the agent runs in one. */
  command: string;
  args: string[];
  cwd: string;
  env: Record<string, string | undefined>;
  stdin: 'ignore' | 'pipe';
  /** Unique; the processes of its tree are found by it. */
  marker: string;
  /** The agent's own command, by which the agent is told from the processes that it starts. */
  agent: string;
  /** Called when the agent ignored SIGTERM and was ended with SIGKILL. */
  onForced(): void;
};

export type ProcessListener = {
  onLine(line: string): void;
  /** The output cannot be read any further: `output_too_large`. */
  onBroken(error: ServiceError): void;
  /** Once, after the last line. */
  onExit(exit: Exit): void;
};

/** The output of a tool may be one line of some megabytes. A line of ten times that size is an error. */
const maxLineBytes = 32 * 1024 * 1024;
const maxStderrBytes = 64 * 1024;
/** How long output is read after the process has ended: a grandchild may hold the pipes open. */
const drainMs = 250;

export class AgentProcess {
  readonly #started: StartedProcess;
  readonly #launch: Launch;
  #listener: ProcessListener | undefined;
  #stderr: Buffer = Buffer.alloc(0);
  #exit: Exit | undefined;
  #ending: Promise<void> | undefined;

  /** Throws `agent_not_started`. */
  static async start(launch: Launch): Promise<AgentProcess> {
    try {
      return new AgentProcess(await startProcess(launch.command, launch.args, launch), launch);
    } catch (error) {
      throw failureOfStart(error);
    }
  }

  private constructor(started: StartedProcess, launch: Launch) {
    this.#started = started;
    this.#launch = launch;
    const { stdout, stderr } = started.child;
    const lines = new LineSplitter(
      maxLineBytes,
      (line) => this.#listener?.onLine(line),
      () => this.#listener?.onBroken(tooLarge()),
    );
    stdout?.on('data', (chunk: Buffer) => lines.push(chunk));
    stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = Buffer.concat([this.#stderr, chunk]).subarray(-maxStderrBytes);
    });
    const drained = new Promise<void>((resolve) => stdout?.once('close', resolve));
    void started.exited.then(async (exit) => {
      await settledWithin(drained, drainMs);
      lines.end();
      this.#exit = exit;
      this.#listener?.onExit(exit);
    });
  }

  /** Replaces the listener. One that is set after the end is called at once. */
  listen(listener: ProcessListener | undefined): void {
    this.#listener = listener;
    if (this.#exit) listener?.onExit(this.#exit);
  }

  write(line: string): void {
    this.#started.child.stdin?.write(line);
  }

  /** Settles when the process has ended, by itself or not. */
  get ended(): Promise<void> {
    return this.#started.exited.then(() => undefined);
  }

  get alive(): boolean {
    return this.#exit === undefined && this.#ending === undefined;
  }

  /** Whether its tree holds only the agent itself and the sandbox around it. */
  isAlone(): Promise<boolean> {
    return isAlone(this.#started.pid, this.#started.marker, this.#launch.agent);
  }

  /** The last 64 KiB. */
  get stderr(): string {
    return this.#stderr.toString('utf8');
  }

  /** Ends the whole tree. Settles when nothing of it runs; a second call waits for the first. */
  end(): Promise<void> {
    this.#ending ??= endProcess(this.#started).then((forced) => {
      if (forced) this.#launch.onForced();
    });
    return this.#ending;
  }
}

function tooLarge(): ServiceError {
  return new ServiceError('output_too_large', `The agent printed a line of more than ${maxLineBytes} bytes`);
}
