/** One running agent: lines in, lines out, and one ending. */

import { ServiceError } from '../errors.ts';
import { type Exit, type StartedProcess, startProcess } from '../processes/child-process.ts';
import { endProcess } from '../processes/end-process.ts';
import { isAlone } from '../processes/process-tree.ts';
import { settledWithin } from '../waits.ts';
import { failureOfStart } from './failure.ts';
import { LineSplitter } from './lines.ts';

/** How a process is started; made by `agents.ts` from the settings, the task and the sandbox. */
export type Launch = {
  /** What is started; a sandbox's when the agent runs in one. */
  command: string;
  args: string[];
  cwd: string;
  env: Record<string, string | undefined>;
  stdin: 'ignore' | 'pipe';
  /** Unique; finds the tree's members. */
  marker: string;
  /** The agent's own command. It tells the agent from the processes that it starts. */
  agent: string;
};

export type ProcessListener = {
  onLine(line: string): void;
  /** The process can say nothing more of use: `output_too_large`. */
  onBroken(error: ServiceError): void;
  /** Once, after the last line. */
  onExit(exit: Exit): void;
};

/** A tool's output may be megabytes in one line; ten times that is a fault. */
const maxLineBytes = 32 * 1024 * 1024;
const maxStderrBytes = 64 * 1024;
/** A grandchild may hold the pipes open after the process ended: what is not there by then is not waited for. */
const drainMs = 250;

export class AgentProcess {
  readonly #started: StartedProcess;
  readonly #agent: string;
  #listener: ProcessListener | undefined;
  #stderr: Buffer = Buffer.alloc(0);
  #exit: Exit | undefined;
  #ending: Promise<void> | undefined;

  /** Throws `agent_not_started`. */
  static async start(launch: Launch): Promise<AgentProcess> {
    try {
      return new AgentProcess(await startProcess(launch.command, launch.args, launch), launch.agent);
    } catch (error) {
      throw failureOfStart(error);
    }
  }

  private constructor(started: StartedProcess, agent: string) {
    this.#started = started;
    this.#agent = agent;
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

  /** One at a time; a listener that comes after the end is told at once. */
  listen(listener: ProcessListener | undefined): void {
    this.#listener = listener;
    if (this.#exit) listener?.onExit(this.#exit);
  }

  write(line: string): void {
    this.#started.child.stdin?.write(line);
  }

  /** Settles when the process has ended, whoever ended it. */
  get ended(): Promise<void> {
    return this.#started.exited.then(() => undefined);
  }

  get alive(): boolean {
    return this.#exit === undefined && this.#ending === undefined;
  }

  /** Whether nothing of its tree runs but the agent itself, and the sandbox around it. */
  isAlone(): Promise<boolean> {
    return isAlone(this.#started.pid, this.#started.marker, this.#agent);
  }

  /** The last 64 KiB. */
  get stderr(): string {
    return this.#stderr.toString('utf8');
  }

  /** Ends the whole tree. Settles when nothing of it runs; a second call waits for the first. */
  end(graceMs?: number): Promise<void> {
    this.#ending ??= endProcess(this.#started, graceMs);
    return this.#ending;
  }
}

function tooLarge(): ServiceError {
  return new ServiceError('output_too_large', `The agent printed a line of more than ${maxLineBytes} bytes`);
}
