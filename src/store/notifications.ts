/** Who wants to look again when something changes. A wake-up carries no facts: the rows are the truth. */

/** `work`: a job may be waiting. `ended`: one has ended. `job:ID`: the job has new events. `cancel:ID`: it is to be stopped. */
export type Topic = 'work' | 'ended' | `job:${string}` | `cancel:${string}`;

export class Notifications {
  readonly #listeners = new Map<Topic, Set<() => void>>();

  /** The answer ends it. */
  on(topic: Topic, listener: () => void): () => void {
    const set = this.#listeners.get(topic) ?? new Set();
    set.add(listener);
    this.#listeners.set(topic, set);
    return () => {
      if (set.delete(listener) && set.size === 0) this.#listeners.delete(topic);
    };
  }

  wake(topic: Topic): void {
    for (const listener of [...(this.#listeners.get(topic) ?? [])]) listener();
  }

  /** For when wake-ups may have been missed. */
  wakeAll(): void {
    for (const topic of [...this.#listeners.keys()]) this.wake(topic);
  }
}

/** Settles at the next wake-up on the topic, when the signal aborts, or after a time; leaves nothing behind. */
export class Bell {
  #rung = false;
  #waiting: (() => void) | undefined;
  readonly #off: () => void;

  constructor(notifications: Notifications, topic: Topic) {
    this.#off = notifications.on(topic, () => this.ring());
  }

  ring(): void {
    this.#rung = true;
    this.#waiting?.();
  }

  /** A ring since the last wait counts. */
  wait(atMostMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#waiting = undefined;
        this.#rung = false;
        resolve();
      };
      const timer = setTimeout(done, atMostMs);
      signal.addEventListener('abort', done, { once: true });
      this.#waiting = done;
      if (this.#rung || signal.aborted) done();
    });
  }

  close(): void {
    this.#off();
  }
}
