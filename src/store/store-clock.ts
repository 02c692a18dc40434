/**
 * The clock of the store. All machines of a fleet use the clock of their database, so their own clocks may differ. A
 * step of the clock does not show until the clock is read again.
 */

/** Returns the time in milliseconds since 1970. */
export type ReadTime = () => number | Promise<number>;

export class StoreClock {
  readonly #read: ReadTime;
  /** The time less the monotonic time of this process, in milliseconds. */
  #offset: number | undefined;
  #steppedMs = 0;
  #unhandledMs = 0;

  constructor(read: ReadTime) {
    this.#read = read;
  }

  /** Returns the time in whole milliseconds since 1970. */
  now(): number {
    return Math.round(performance.now() + (this.#offset ?? Date.now() - performance.now()));
  }

  /** By how many milliseconds the clock was stepped forward since this process opened the store, in all. */
  get steppedMs(): number {
    return this.#steppedMs;
  }

  /** Reads the clock. Notices steps: somebody set the clock, or the machine slept. */
  async refresh(): Promise<void> {
    const before = performance.now();
    const time = await this.#read();
    const after = performance.now();
    // A reading that took long says too little about the time.
    if (this.#offset !== undefined && after - before > longestReadingMs) return;
    const offset = time - (before + after) / 2;
    const differenceMs = offset - (this.#offset ?? offset);
    this.#offset = offset;
    if (Math.abs(differenceMs) < smallestStepMs) return;
    this.#steppedMs += Math.max(0, differenceMs);
    this.#unhandledMs += Math.round(differenceMs);
  }

  /** Calls `handle` with the sum of the steps that it has not handled yet, in milliseconds. Repeats them if it rejects. */
  async handleSteps(handle: (ms: number) => Promise<void>): Promise<void> {
    const stepMs = this.#unhandledMs;
    if (stepMs === 0) return;
    await handle(stepMs);
    this.#unhandledMs -= stepMs;
  }
}

/** A longer reading is not used, in milliseconds. Half of it is below the smallest step. */
const longestReadingMs = 1000;
/** Smaller differences are drift, or the time that reading took, in milliseconds. */
const smallestStepMs = 1000;
