/** Starts an agent process, passes on its output line by line, and reports its end once. */

import { ServiceError } from '../errors.ts';
import { type Exit, type StartedProcess, startProcess } from '../processes/child-process.ts';
import { endProcess, killTree } from '../processes/end-process.ts';
import { isAlone } from '../processes/process-tree.ts';
import { settledWithin } from '../waits.ts';
import { failureOfStart } from './failure.ts';
import { LineSplitter } from './line-splitter.ts';

/** How to start an agent process. `agents.ts` makes this from the settings, the task and the sandbox. */
export type Launch = {
  /** The command to start: the agent's own command, or a wrapper such as `bwrap` that starts it. */
  command: string;
  args: string[];
  cwd: string;
  env: Record<string, string | undefined>;
  stdin: 'ignore' | 'pipe';
  /** A unique text that marks the process and all its descendants, so that they can be found. */
  marker: string;
  /** The path of the agent's own command. It shows which process of the tree is the agent. */
  agent: string;
  /** Called when the agent ignored SIGTERM and was ended with SIGKILL. */
  onForced(): void;
};

export type ProcessListener = {
  onLine(line: string): void;
  /** Called with `output_too_large` when the output cannot be read any further. */
  onBroken(error: ServiceError): void;
  /** Called once, after the last line. */
  onExit(exit: Exit): void;
};

/** The longest line that an agent may print, in bytes. A tool's output may be one line of a few megabytes. */
const maxLineBytes = 32 * 1024 * 1024;
const maxStderrBytes = 64 * 1024;
/**
 * How long output is read after the process has ended, in milliseconds. A grandchild may hold the pipes open for
 * longer.
 */
const drainMs = 250;

export class AgentProcess {
  readonly #started: StartedProcess;
  readonly #launch: Launch;
  #listener: ProcessListener | undefined;
  #stderr: Buffer = Buffer.alloc(0);
  #exit: Exit | undefined;
  #ending: Promise<void> | undefined;

  /** Starts the process. Throws `agent_not_started`. */
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

  /** Replaces the listener. If the process has already ended, calls the new listener at once. */
  listen(listener: ProcessListener | undefined): void {
    this.#listener = listener;
    if (this.#exit) listener?.onExit(this.#exit);
  }

  write(line: string): void {
    this.#started.child.stdin?.write(line);
  }

  /** Settles when the process has ended, whether by itself or by `end`. */
  get ended(): Promise<void> {
    return this.#started.exited.then(() => undefined);
  }

  get alive(): boolean {
    return this.#exit === undefined && this.#ending === undefined;
  }

  /** Returns whether the process tree contains only the agent and the sandbox around it. */
  isAlone(): Promise<boolean> {
    return isAlone(this.#started.pid, this.#started.marker, this.#launch.agent);
  }

  /** The last 64 KiB of standard error. */
  get stderr(): string {
    // The first bytes may be the rest of a character that was cut.
    return this.#stderr.toString('utf8').replace(/^\uFFFD+/, '');
  }

  /** Ends the whole process tree at once, without a chance to do anything more. */
  kill(): Promise<void> {
    this.#ending ??= killTree(this.#started);
    return this.#ending;
  }

  /** Ends the whole process tree. Settles when none of its processes runs. A second call waits for the first. */
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
