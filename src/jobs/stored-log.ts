/** Writes down what happens in one run: in batches, bounded, in order, and through an outage of the store. */
import type { NewEvent } from '../store/job-store.ts';

type Body = NewEvent['body'];

/** Writes events under the numbers after `lastSeq`; `false`: this run is no longer the job's. May be repeated. */
export type Append = (lastSeq: number, events: NewEvent[]) => Promise<boolean>;

export type EventBounds = { maxEvents: number; maxBytes: number };

/** A live reader sees an event after at most this, and a busy agent costs at most one write per this. Milliseconds. */
const batchMs = 25;
const longestRetryMs = 2000;

export class EventLog {
  readonly #append: Append;
  readonly #bounds: EventBounds;
  readonly #onLost: () => void;
  #lastSeq: number;
  #pending: NewEvent[] = [];
  #retry: NewEvent[] | undefined;
  #writing: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #closing = false;
  #stopped = false;
  #full = false;
  #count = 0;
  #bytes = 0;

  /**
   * @param lastSeq the number of the job's latest event
   * @param onLost told once, when the run is no longer the job's
   */
  constructor(append: Append, lastSeq: number, bounds: EventBounds, onLost: () => void) {
    this.#append = append;
    this.#lastSeq = lastSeq;
    this.#bounds = bounds;
    this.#onLost = onLost;
  }

  add(body: Body): void {
    if (this.#full || this.#closing || this.#stopped) return;
    this.#bytes += Buffer.byteLength(JSON.stringify(body));
    const { maxEvents, maxBytes } = this.#bounds;
    const last = this.#pending.at(-1);
    if (this.#bytes > maxBytes) this.#fill({ type: 'events_full', limit: maxBytes, unit: 'bytes' });
    else if (last && mergeText(last.body, body)) this.#schedule();
    else if (this.#count + 1 >= maxEvents) this.#fill({ type: 'events_full', limit: maxEvents, unit: 'events' });
    else this.#push(body);
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

  #fill(notice: Body): void {
    this.#full = true;
    this.#push(notice);
  }

  #push(body: Body): void {
    this.#count += 1;
    this.#pending.push({ at: Date.now(), body });
    this.#schedule();
  }

  #schedule(): void {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
      // One that came after the last look.
      if (this.#pending.length > 0 && !this.#stopped) this.#schedule();
    });
  }

  async #write(): Promise<void> {
    let retryMs = batchMs;
    // What comes in the same step of the event loop goes into the same batch; the first batch waits no longer.
    await Promise.resolve();
    while ((this.#retry ?? this.#pending).length > 0 && !this.#stopped) {
      const batch = this.#retry ?? this.#pending;
      if (batch === this.#pending) this.#pending = [];
      this.#retry = undefined;
      try {
        if (!(await this.#append(this.#lastSeq, batch))) {
          this.stop();
          this.#onLost();
          return;
        }
        this.#lastSeq += batch.length;
        retryMs = batchMs;
        if (!this.#closing) await this.#pause(batchMs);
      } catch {
        // The store is away, and may have taken the batch before it went: the same batch is tried again as it was.
        this.#retry = batch;
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
function mergeText(last: Body, next: Body): boolean {
  if (last.type === 'text' && next.type === 'text') last.text += next.text;
  else if (last.type === 'thinking' && next.type === 'thinking') last.text += next.text;
  else return false;
  return true;
}
