/** Writes the events of one run into the store: in batches, bounded, in order, and through an outage of the store. */
import type { StoredEventBody } from '../store/job.ts';
import type { NewEvent } from '../store/stored-run.ts';
import { backoff, pause } from '../waits.ts';
import type { EventSink } from './run.ts';

/** Writes events under the numbers after `lastSeq`; `false`: the run is no longer the caller's. May be repeated. */
export type Append = (lastSeq: number, events: NewEvent[]) => Promise<boolean>;

export type EventBounds = { maxEvents: number; maxBytes: number };

/** A live reader sees an event after at most this, and a busy agent costs at most one write per this. Milliseconds. */
const batchMs = 25;
const longestRetryMs = 2000;

export class LogWriter implements EventSink {
  readonly #append: Append;
  readonly #bounds: EventBounds;
  readonly #onLost: () => void;
  #lastSeq: number;
  #pending: NewEvent[] = [];
  /** A batch that may or may not have been written. */
  #unsure: NewEvent[] | undefined;
  #writing: Promise<void> | undefined;
  #pausing = new AbortController();
  #closing = false;
  #stopped = false;
  #full = false;
  #count = 0;
  #bytes = 0;

  /**
   * @param lastSeq the number of the run's latest event
   * @param onLost called once, when the run is no longer the caller's
   */
  constructor(append: Append, lastSeq: number, bounds: EventBounds, onLost: () => void) {
    this.#append = append;
    this.#lastSeq = lastSeq;
    this.#bounds = bounds;
    this.#onLost = onLost;
  }

  append(event: StoredEventBody): void {
    if (this.#full || this.#closing || this.#stopped) return;
    // A copy, since texts that follow are joined to it.
    const body = { ...event };
    this.#bytes += Buffer.byteLength(JSON.stringify(body));
    const { maxEvents, maxBytes } = this.#bounds;
    const last = this.#pending.at(-1);
    if (this.#bytes > maxBytes) this.#fill({ type: 'events_full', limit: maxBytes, unit: 'bytes' });
    else if (last && joinText(last.body, body)) this.#schedule();
    else if (this.#count + 1 >= maxEvents) this.#fill({ type: 'events_full', limit: maxEvents, unit: 'events' });
    else this.#push(body);
  }

  /** Settles when everything is written, or nothing more can be. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#pausing.abort();
    await this.#writing;
  }

  /** Drops what is not written yet. */
  stop(): void {
    this.#stopped = true;
    this.#pending = [];
    this.#pausing.abort();
  }

  #fill(notice: StoredEventBody): void {
    this.#full = true;
    this.#push(notice);
  }

  #push(body: StoredEventBody): void {
    this.#count += 1;
    this.#pending.push({ at: Date.now(), body });
    this.#schedule();
  }

  #schedule(): void {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
      // An event may have come after the last look.
      if (this.#pending.length > 0 && !this.#stopped) this.#schedule();
    });
  }

  async #write(): Promise<void> {
    const retry = backoff({ firstMs: 2 * batchMs, longestMs: longestRetryMs });
    // Events of the same step of the event loop go into the same batch; the first batch waits no longer.
    await Promise.resolve();
    while ((this.#unsure ?? this.#pending).length > 0 && !this.#stopped) {
      const batch = this.#unsure ?? this.#pending;
      if (batch === this.#pending) this.#pending = [];
      this.#unsure = undefined;
      try {
        if (!(await this.#append(this.#lastSeq, batch))) {
          this.stop();
          this.#onLost();
          return;
        }
        this.#lastSeq += batch.length;
        retry.reset();
        if (!this.#closing) await this.#pause(batchMs);
      } catch {
        // The store may have taken the batch before it went away, so the very same batch is written again.
        this.#unsure = batch;
        await this.#pause(retry.next());
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    this.#pausing = new AbortController();
    await pause(ms, this.#pausing.signal);
  }
}

/** Text that follows text becomes one event. */
function joinText(last: StoredEventBody, next: StoredEventBody): boolean {
  if ((last.type !== 'text' && last.type !== 'thinking') || last.type !== next.type) return false;
  last.text += next.text;
  return true;
}
