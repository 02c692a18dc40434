/**
 * Starts no jobs while something that is not their fault makes attempts fail, such as a missing command or login. Lets
 * one job try at a time, after growing waits. A job that has failed waits too, so that another job is tried next: the
 * cause may be in one job, such as a model that refuses it.
 */
import type { ServiceError } from '../errors.ts';
import { type Backoff, backoff, pause, settledWithin, type WaitRange, waitAfter } from '../waits.ts';
import type { Permit } from './dispatcher.ts';

export type HoldCause = {
  error: ServiceError;
  /** When the first attempt failed, in milliseconds since 1970. */
  since: number;
};

export type HoldOptions = {
  /** Returns why an agent cannot start now, as far as that is known without an attempt. */
  check(): Promise<ServiceError | undefined>;
  /** Called when jobs are held back from now on, and for each new cause. */
  onHeld(error: ServiceError): void;
  /** Called when jobs start again, with how long they were held back, in milliseconds. */
  onFreed(ms: number): void;
  /** The waits between two attempts of one job, in milliseconds. The waits between attempts of any jobs are at most 10 s. */
  retryMs?: WaitRange;
};

/** How long the wait for an announced end, such as the reset of a usage limit, may be, in milliseconds. */
const longestKnownWaitMs = 300_000;
/** The longest wait between two attempts, in milliseconds. It is short because the next attempt is made with another job. */
const longestHoldMs = 10_000;
/** The longest time of a timer of Node.js, in milliseconds. */
const longestTimerMs = 2 ** 31 - 1;
/** How long a worker that holds jobs back lets the other workers go first for a chat request, in milliseconds. */
const deferMs = 500;

const freePermit: Permit = { ended: () => {}, unused: () => {} };

export class Hold {
  readonly #options: HoldOptions;
  readonly #retryMs: WaitRange;
  readonly #waits: Backoff;
  /** The jobs that have failed since an agent began to work. */
  readonly #failed = new Set<string>();
  #cause: HoldCause | undefined;
  #startedMs = 0;
  #dueMs = 0;
  /** The attempt that shows whether the cause is gone. Undefined if there is none now. */
  #trial: symbol | undefined;
  #changed = Promise.withResolvers<void>();

  constructor(options: HoldOptions) {
    this.#options = options;
    this.#retryMs = options.retryMs ?? { firstMs: 1000, longestMs: 60_000 };
    this.#waits = backoff({ ...this.#retryMs, longestMs: Math.min(this.#retryMs.longestMs, longestHoldMs) });
  }

  /** Why jobs are held back. Undefined if they are not. */
  get cause(): HoldCause | undefined {
    return this.#cause;
  }

  /**
   * Settles when a job may be claimed, or when `signal` aborts. Never rejects. While jobs are held back there is one
   * permit; the next caller waits until it has ended.
   */
  async permit(signal: AbortSignal): Promise<Permit> {
    while (this.#cause && !signal.aborted) {
      const waitMs = this.#trial ? longestTimerMs : this.#dueMs - performance.now();
      if (waitMs > 0) {
        await settledWithin(this.#changed.promise, waitMs, signal);
        continue;
      }
      const error = await this.#options.check();
      if (error) {
        this.#hold(error);
        continue;
      }
      const trial = Symbol();
      this.#trial = trial;
      return {
        ended: () => this.#end(trial),
        // Only a job can show that the cause is gone. Without a job, the hold ends.
        unused: () => this.#trial === trial && this.#free(),
      };
    }
    return freePermit;
  }

  /** Settles when a chat request of another machine may be claimed. Other workers get the first chance. */
  async defer(signal: AbortSignal): Promise<Permit> {
    if (this.#cause) await pause(deferMs, signal);
    return freePermit;
  }

  /**
   * Called when an attempt of a job failed before its agent began to work. Holds the jobs back if the cause is on this
   * machine, or if two jobs have failed in a row. Returns how long this job must wait, in milliseconds.
   * @param emptyAttempts how many attempts of the job have failed so, with this one
   */
  failed(error: ServiceError, jobId: string, emptyAttempts: number): number {
    this.#failed.add(jobId);
    if (error.ofMachine || this.#failed.size > 1) this.#hold(error);
    else void this.#options.check().then((found) => found && this.#hold(found));
    return this.#delayOf(error, emptyAttempts);
  }

  #hold(error: ServiceError): void {
    const now = performance.now();
    const known = this.#cause;
    // Several jobs may have been starting when the cause appeared. Only the first failure lengthens the wait.
    const counts = !known || this.#trial || now >= this.#dueMs;
    this.#cause = { error, since: known?.since ?? Date.now() };
    if (!known) this.#startedMs = now;
    if (known?.error.code !== error.code) this.#options.onHeld(error);
    if (!counts) return;
    this.#dueMs = now + this.#waits.next();
    this.#trial = undefined;
    this.#wake();
  }

  /** Frees the jobs, because an agent began to work. */
  began(): void {
    this.#failed.clear();
    this.#waits.reset();
    this.#free();
  }

  #delayOf({ extra: { resetsAt } }: ServiceError, emptyAttempts: number): number {
    const delayMs = waitAfter(emptyAttempts, this.#retryMs);
    if (resetsAt === undefined) return delayMs;
    return Math.max(delayMs, Math.min(resetsAt - Date.now(), longestKnownWaitMs));
  }

  /** Lets another job be tried, if this attempt has ended without showing whether the cause is gone. */
  #end(trial: symbol): void {
    if (this.#trial !== trial) return;
    this.#trial = undefined;
    this.#wake();
  }

  #free(): void {
    if (!this.#cause) return;
    this.#cause = undefined;
    this.#trial = undefined;
    this.#options.onFreed(performance.now() - this.#startedMs);
    this.#wake();
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
