/**
 * Measures how long runs take, and estimates how long a request waits for a slot. Times are milliseconds of a monotonic
 * clock.
 */
import type { Task } from '../task.ts';

type Kind = Task['kind'];

/** The weight of the newest run in the average. With a fifth, the average follows a change within about ten runs. */
const weightOfNewest = 0.2;

export class RunTimes {
  readonly #averages = new Map<Kind, number>();
  readonly #started = new Map<symbol, { kind: Kind; at: number }>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Starts to measure a run. The returned function ends the measurement. */
  start(kind: Kind): () => void {
    const id = Symbol(kind);
    this.#started.set(id, { kind, at: this.#now() });
    return () => {
      const run = this.#started.get(id);
      if (!run) return;
      this.#started.delete(id);
      const took = this.#now() - run.at;
      const before = this.#averages.get(kind) ?? took;
      this.#averages.set(kind, before + (took - before) * weightOfNewest);
    };
  }

  /**
   * Returns the expected time until `slots` of the used slots are released. Returns `undefined` if no run has lasted
   * long enough for an estimate.
   */
  waitFor(slots: number): number | undefined {
    let releasedPerMs = 0;
    for (const { kind, at } of this.#started.values()) {
      // For a run that has already taken longer than the average, its own time is the better estimate.
      const length = Math.max(this.#averages.get(kind) ?? 0, this.#now() - at);
      if (length > 0) releasedPerMs += 1 / length;
    }
    return releasedPerMs > 0 ? slots / releasedPerMs : undefined;
  }
}

/**
 * Returns the value of `Retry-After` for an expected wait: whole seconds from 1 to 60, or 5 if the wait is not known.
 */
export function retryAfterSeconds(waitMs: number | undefined): number {
  if (waitMs === undefined) return 5;
  return Math.min(60, Math.max(1, Math.ceil(waitMs / 1000)));
}
