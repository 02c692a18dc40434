/** Counts the jobs that wait, for monitors: without many queries, and without waiting for a store that does not answer. */
import type { JobStore } from '../store/job-store.ts';
import { settledWithin } from '../waits.ts';

/** How long a count is used, in milliseconds. */
const freshMs = 500;
/** How long the store may take to count, in milliseconds. */
const limitMs = 500;

export class WaitingCount {
  readonly #store: Pick<JobStore, 'countWaiting'>;
  #count: number | undefined;
  #countedAt = Number.NEGATIVE_INFINITY;
  #counting: Promise<void> | undefined;

  constructor(store: Pick<JobStore, 'countWaiting'>) {
    this.#store = store;
  }

  /** Returns how many jobs wait. Returns `undefined` if the store does not say so within half a second. */
  async get(): Promise<number | undefined> {
    if (!this.#isFresh()) {
      this.#counting ??= this.#countNow();
      await settledWithin(this.#counting, limitMs);
    }
    return this.#isFresh() ? this.#count : undefined;
  }

  #isFresh(): boolean {
    return performance.now() - this.#countedAt < freshMs;
  }

  async #countNow(): Promise<void> {
    this.#count = await this.#store.countWaiting().catch(() => undefined);
    this.#countedAt = performance.now();
    this.#counting = undefined;
  }
}
