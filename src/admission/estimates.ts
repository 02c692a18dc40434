/** How long runs really take, and so how long a wait will be. Times are milliseconds of a monotonic clock. */
import type { Task } from '../task.ts';

type Kind = Task['kind'];

/** A new run counts for a fifth of the average, so it follows a change within about ten runs. */
const weightOfNewest = 0.2;

export class RunTimes {
  readonly #averages = new Map<Kind, number>();
  readonly #started = new Map<symbol, { kind: Kind; at: number }>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The answer ends the run's measurement. */
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

  /** Until so many of the places in use have come free. `undefined` while nothing has run long enough to tell. */
  waitFor(places: number): number | undefined {
    let freedPerMs = 0;
    for (const { kind, at } of this.#started.values()) {
      // A run that is already longer than the average says more than the average does.
      const length = Math.max(this.#averages.get(kind) ?? 0, this.#now() - at);
      if (length > 0) freedPerMs += 1 / length;
    }
    return freedPerMs > 0 ? places / freedPerMs : undefined;
  }

  average(kind: Kind): number | undefined {
    return this.#averages.get(kind);
  }
}

/** For `Retry-After`: whole seconds, 1 to 60; 5 while nothing is known. */
export function retryAfterSeconds(waitMs: number | undefined): number {
  if (waitMs === undefined) return 5;
  return Math.min(60, Math.max(1, Math.ceil(waitMs / 1000)));
}
