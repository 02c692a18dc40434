/**
 * Decides when a slot is held free for tasks that do not wait. While other tasks wait, every released slot would go to
 * them at once, so a task that does not wait would never find a free slot.
 */

export type UnqueuedShareOptions = {
  /** The part of the released slots, from 0 to 1, that may be held. With 0 none is held. */
  share: number;
  /** How long a slot is held, in milliseconds. */
  holdMs: number;
  /** Called when a hold ends although no task has taken the slot. */
  onUnused(): void;
  /** A monotonic clock, in milliseconds. */
  now(): number;
};

/** A refused client is expected to come again within this time, in milliseconds: the longest `Retry-After`. */
const demandMs = 60_000;

export class UnqueuedShare {
  readonly #options: UnqueuedShareOptions;
  /** How many slots the queue gets between two holds. */
  readonly #between: number;
  #grants = 0;
  #refusedAt = Number.NEGATIVE_INFINITY;
  #hold: NodeJS.Timeout | undefined;

  constructor(options: UnqueuedShareOptions) {
    this.#options = options;
    this.#between = Math.ceil(1 / options.share) - 1;
    // The first refused task need not wait for other grants.
    this.#grants = this.#between;
  }

  /** Whether a slot is held now. */
  get holding(): boolean {
    return this.#hold !== undefined;
  }

  /** Counts a task that was refused because no slot was free. */
  refused(): void {
    this.#refusedAt = this.#options.now();
  }

  /** Counts a slot that a waiting task has got. */
  granted(): void {
    this.#grants += 1;
  }

  /** Begins to hold a slot, if it is time for it and a task was refused since the last hold. */
  consider(): void {
    const { share, holdMs, now, onUnused } = this.#options;
    const wanted = now() - this.#refusedAt < demandMs;
    if (share === 0 || this.#hold || !wanted || this.#grants < this.#between) return;
    this.#hold = setTimeout(() => {
      this.end();
      onUnused();
    }, holdMs);
  }

  /** Ends the hold, because the slot is taken or because it is held no longer. */
  end(): void {
    if (!this.#hold) return;
    clearTimeout(this.#hold);
    this.#hold = undefined;
    this.#grants = 0;
    this.#refusedAt = Number.NEGATIVE_INFINITY;
  }
}
