/** Runs an exchange with an agent: sends a line, and reads messages until a message, an error or a limit ends it. */

import { ServiceError } from '../errors.ts';
import type { Exit } from '../processes/child-process.ts';
import type { AgentProcess, ProcessListener } from './agent-process.ts';
import { type ProtocolMessage, readMessage } from './protocol/messages.ts';

export type Exchange<T> = {
  /** The line to send. Undefined if the exchange only reads. */
  send?: string;
  signal: AbortSignal;
  /** The longest silence before the exchange fails, in milliseconds. 0 means no limit. */
  stallMs: number;
  /** How long the process may take to print its first line after `send`, in milliseconds. */
  signOfLifeMs?: number;
  /** Called with each message. If it returns a value, the exchange settles; if it throws, the exchange fails. */
  settle(message: ProtocolMessage, line: string): T | undefined;
  /**
   * Called when the process ends before the exchange is settled. Returns the result of the exchange, or throws a
   * `ServiceError` if the exit is a failure.
   */
  settleExit(exit: Exit): T;
  /** Called with each line that is not a message of the protocol. */
  onPlain?: (line: string) => void;
  onUnknown?: (name: string) => void;
  /** Listens to the process after the exchange. */
  afterwards?: ProcessListener;
};

/** Runs the exchange. Rejects with a `ServiceError`, or with the signal's reason. The first cause of an end counts. */
export function exchange<T>(process: AgentProcess, options: Exchange<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const { signal, signOfLifeMs } = options;
  const fail = (error: unknown) => end(() => reject(error));
  const stall = new StallTimer(options.stallMs, fail);
  const onAbort = () => fail(signal.reason);
  const noSign = signOfLifeMs && setTimeout(() => fail(noSignOfLife(signOfLifeMs)), signOfLifeMs);
  let isOver = false;
  // The next line may already be there, so the listener is replaced at once.
  const end = (settle: () => void) => {
    if (isOver) return;
    isOver = true;
    stall.stop();
    clearTimeout(noSign);
    signal.removeEventListener('abort', onAbort);
    process.listen(options.afterwards);
    settle();
  };
  const attempt = (step: () => T | undefined) => {
    try {
      const value = step();
      if (value !== undefined) end(() => resolve(value));
    } catch (error) {
      fail(error);
    }
  };
  process.listen({
    onLine: (line) => {
      stall.restart();
      clearTimeout(noSign);
      attempt(() => receive(line, options));
    },
    onBroken: fail,
    onExit: (exit) => attempt(() => options.settleExit(exit)),
  });
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  else if (!isOver && options.send !== undefined) process.write(options.send);
  return promise;
}

/**
 * Returns a signal that aborts with the caller's reason, or with `agent_timeout` after `runMs` milliseconds, whichever
 * comes first. `clear` stops the timer.
 */
export function withRunLimit(caller: AbortSignal, runMs: number): { signal: AbortSignal; clear(): void } {
  const controller = new AbortController();
  const error = () =>
    new ServiceError('agent_timeout', `The agent was stopped after ${runMs / 1000} s: the time limit of the run`);
  const timer = setTimeout(() => controller.abort(error()), runMs);
  return { signal: AbortSignal.any([caller, controller.signal]), clear: () => clearTimeout(timer) };
}

function noSignOfLife(ms: number): ServiceError {
  return new ServiceError('agent_stalled', `The agent gave no sign of life within ${ms / 1000} s, which is the limit`);
}

function receive<T>(line: string, options: Exchange<T>): T | undefined {
  const message = readMessage(line);
  if (!message) {
    options.onPlain?.(line);
    return undefined;
  }
  if (message.type === 'unknown') options.onUnknown?.(message.name);
  return options.settle(message, line);
}

/**
 * Fails an exchange after a long silence. `restart` starts no new timer, because an agent prints hundreds of lines a
 * second.
 */
class StallTimer {
  readonly #limitMs: number;
  readonly #timer: NodeJS.Timeout | undefined;
  #lastMs = performance.now();

  constructor(limitMs: number, fail: (error: ServiceError) => void) {
    this.#limitMs = limitMs;
    if (limitMs > 0) this.#timer = setInterval(() => this.#check(fail), Math.max(20, limitMs / 10));
  }

  restart(): void {
    this.#lastMs = performance.now();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #check(fail: (error: ServiceError) => void): void {
    if (performance.now() - this.#lastMs < this.#limitMs) return;
    fail(
      new ServiceError('agent_stalled', `The agent printed nothing for ${this.#limitMs / 1000} s, which is the limit`),
    );
  }
}
