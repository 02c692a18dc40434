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

  /**
   * Reads the clock. Returns by how many milliseconds it was stepped since it was read before: 0 unless somebody set
   * the clock, or the machine slept.
   */
  async refresh(): Promise<number> {
    const before = performance.now();
    const time = await this.#read();
    const offset = time - (before + performance.now()) / 2;
    const differenceMs = offset - (this.#offset ?? offset);
    this.#offset = offset;
    if (Math.abs(differenceMs) < smallestStepMs) return 0;
    this.#steppedMs += Math.max(0, differenceMs);
    return Math.round(differenceMs);
  }
}

/** Smaller differences are drift, or the time that reading took, in milliseconds. */
const smallestStepMs = 1000;
