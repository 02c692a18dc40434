/** Writes down what happens in one run of a job: in batches, bounded, in order, and through an outage of the store. */
import type { JobEventBody } from './job.ts';
import type { NewEvent } from './job-store.ts';
import { shortenEvent } from './shorten.ts';

export type EventBounds = { maxEvents: number; maxBytes: number };

/** A live reader sees an event after at most this, and a busy agent costs at most one write per this. Milliseconds. */
const batchMs = 25;
const longestRetryMs = 2000;

export class EventLog {
  readonly #append: (events: NewEvent[]) => Promise<boolean>;
  readonly #bounds: EventBounds;
  readonly #onLost: () => void;
  #pending: NewEvent[] = [];
  #writing: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #closing = false;
  #stopped = false;
  #full = false;
  #count = 0;
  #bytes = 0;

  /**
   * @param append `false`: this run is no longer the job's
   * @param onLost told once, when that was the answer
   */
  constructor(append: (events: NewEvent[]) => Promise<boolean>, bounds: EventBounds, onLost: () => void) {
    this.#append = append;
    this.#bounds = bounds;
    this.#onLost = onLost;
  }

  add(event: JobEventBody): void {
    if (this.#full || this.#closing) return;
    const body = shortenEvent(event);
    this.#bytes += Buffer.byteLength(JSON.stringify(body));
    const last = this.#pending.at(-1);
    if (last && mergeText(last.body, body)) return this.#schedule();
    this.#count += 1;
    const { maxEvents, maxBytes } = this.#bounds;
    if (this.#count >= maxEvents || this.#bytes > maxBytes) {
      this.#full = true;
      const bound = this.#count >= maxEvents ? { limit: maxEvents, unit: 'events' as const } : undefined;
      this.#push({ type: 'events_full', ...(bound ?? { limit: maxBytes, unit: 'bytes' }) });
    } else {
      this.#push(body);
    }
  }

  /** Settles when all is written, or nothing more can be. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#wake?.();
    await this.#writing;
  }

  /** Gives up what is not written yet. */
  stop(): void {
    this.#stopped = true;
    this.#pending = [];
    this.#wake?.();
  }

  #push(body: JobEventBody): void {
    this.#pending.push({ at: Date.now(), body });
    this.#schedule();
  }

  #schedule(): void {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  async #write(): Promise<void> {
    let retryMs = batchMs;
    // What comes in the same step of the event loop goes into the same batch; the first batch waits no longer.
    await Promise.resolve();
    while (this.#pending.length > 0 && !this.#stopped) {
      const batch = this.#pending;
      this.#pending = [];
      try {
        if (!(await this.#append(batch))) {
          this.stop();
          this.#onLost();
          return;
        }
        retryMs = batchMs;
        if (!this.#closing) await this.#pause(batchMs);
      } catch {
        // The store is away. It knows nothing of this batch, or all of it under a number that nobody has seen twice.
        this.#pending = [...batch, ...this.#pending];
        retryMs = Math.min(longestRetryMs, retryMs * 2);
        await this.#pause(retryMs);
      }
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#wake = done;
    });
  }
}

/** Text that follows text becomes one event. */
function mergeText(last: JobEventBody, next: JobEventBody): boolean {
  if (last.type === 'text' && next.type === 'text') last.text += next.text;
  else if (last.type === 'thinking' && next.type === 'thinking') last.text += next.text;
  else return false;
  return true;
}
