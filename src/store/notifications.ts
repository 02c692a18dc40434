/**
 * Notifies listeners that something in the store has changed. A notification carries no data, so a listener reads the
 * rows again.
 */

/**
 * `work`: a run may be waiting. `ended`: a job has ended. `job:ID`: the run has new events. `cancel:ID`: the run must
 * be stopped.
 */
export type Topic = 'work' | 'ended' | `job:${string}` | `cancel:${string}`;

export class Notifications {
  readonly #listeners = new Map<Topic, Set<() => void>>();

  /** Adds a listener, and returns a function that removes it. */
  on(topic: Topic, listener: () => void): () => void {
    const set = this.#listeners.get(topic) ?? new Set();
    set.add(listener);
    this.#listeners.set(topic, set);
    return () => {
      if (set.delete(listener) && set.size === 0) this.#listeners.delete(topic);
    };
  }

  notify(topic: Topic): void {
    for (const listener of [...(this.#listeners.get(topic) ?? [])]) listener();
  }

  /** Notifies every listener. Used when notifications may have been lost. */
  notifyAll(): void {
    for (const topic of [...this.#listeners.keys()]) this.notify(topic);
  }
}

/** Waits for notifications on one topic. It listens from its construction until `close`. */
export class NotificationWaiter {
  #notified = false;
  #finishWait: (() => void) | undefined;
  readonly #off: () => void;

  constructor(notifications: Notifications, topic: Topic) {
    this.#off = notifications.on(topic, () => {
      this.#notified = true;
      this.#finishWait?.();
    });
  }

  /**
   * Settles at the next notification, when `signal` aborts, or after `atMostMs` milliseconds. Settles at once if there
   * was a notification since the last wait.
   */
  wait(atMostMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#finishWait = undefined;
        this.#notified = false;
        resolve();
      };
      const timer = setTimeout(done, atMostMs);
      signal.addEventListener('abort', done, { once: true });
      this.#finishWait = done;
      if (this.#notified || signal.aborted) done();
    });
  }

  close(): void {
    this.#off();
  }
}
