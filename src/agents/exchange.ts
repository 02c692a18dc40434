/** One exchange with an agent: sends a line and reads messages until one settles it. The first cause of an end wins. */

import { ServiceError } from '../errors.ts';
import type { Exit } from '../processes/child-process.ts';
import type { AgentEvent } from '../task.ts';
import type { AgentProcess } from './agent-process.ts';
import { type ProtocolMessage, readMessage } from './protocol/messages.ts';

export type Exchange<T> = {
  send?: string;
  signal: AbortSignal;
  /** Longest silence, in milliseconds; 0: no limit. */
  stallMs: number;
  /** Called with each message. A value settles the exchange, and an error fails it. */
  settle(message: ProtocolMessage, line: string): T | undefined;
  /** Called when the process ends first. Throws a `ServiceError` unless that is a good end. */
  settleExit(exit: Exit): T;
  onEvent?: (event: AgentEvent) => void;
  /** Called with each line that is no message of the protocol. */
  onPlain?: (line: string) => void;
  onUnknown?: (name: string) => void;
};

/** Rejects with a `ServiceError`, or with the signal's reason. */
export function exchange<T>(process: AgentProcess, options: Exchange<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const stall = new StallTimer(options.stallMs, reject);
  const onAbort = () => reject(options.signal.reason);
  const attempt = (step: () => T | undefined) => {
    try {
      const value = step();
      if (value !== undefined) resolve(value);
    } catch (error) {
      reject(error);
    }
  };
  process.listen({
    onLine: (line) => {
      stall.restart();
      attempt(() => receive(line, options));
    },
    onBroken: reject,
    onExit: (exit) => attempt(() => options.settleExit(exit)),
  });
  options.signal.addEventListener('abort', onAbort, { once: true });
  if (options.signal.aborted) onAbort();
  else if (options.send !== undefined) process.write(options.send);
  return promise.finally(() => {
    stall.stop();
    options.signal.removeEventListener('abort', onAbort);
    process.listen(undefined);
  });
}

/**
 * The caller's signal joined with the time limit of a run, in milliseconds. `signal` aborts with the caller's reason or
 * with `agent_timeout`, whichever comes first. `clear` ends the timer.
 */
export function withRunLimit(caller: AbortSignal, runMs: number): { signal: AbortSignal; clear(): void } {
  const controller = new AbortController();
  const error = () =>
    new ServiceError('agent_timeout', `The agent was stopped after ${runMs / 1000} s: the time limit of the run`);
  const timer = setTimeout(() => controller.abort(error()), runMs);
  return { signal: AbortSignal.any([caller, controller.signal]), clear: () => clearTimeout(timer) };
}

function receive<T>(line: string, options: Exchange<T>): T | undefined {
  const message = readMessage(line);
  if (!message) {
    options.onPlain?.(line);
    return undefined;
  }
  if (message.type === 'events' && options.onEvent) for (const event of message.events) options.onEvent(event);
  if (message.type === 'unknown') options.onUnknown?.(message.name);
  return options.settle(message, line);
}

/** Its `restart` is one assignment, not a new timer, because hundreds of lines come in a second. */
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
      new ServiceError('agent_stalled', `The agent said nothing for ${this.#limitMs / 1000} s: the limit of silence`),
    );
  }
}
