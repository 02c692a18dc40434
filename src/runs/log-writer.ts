/**
 * Writes the events of one run into the store: in batches, in order, up to a limit, and even if the store is away for a
 * while.
 */
import type { StoredEventBody } from '../store/job.ts';
import type { NewEvent } from '../store/stored-run.ts';
import { backoff, pause } from '../waits.ts';
import type { EventSink } from './run.ts';

/**
 * Writes events with the numbers that follow `lastSeq`. Returns `false` if another process has the run now. The same
 * call may be repeated: it writes the events only once.
 */
export type Append = (lastSeq: number, events: NewEvent[]) => Promise<boolean>;

export type EventBounds = { maxEvents: number; maxBytes: number };

/** The time between two batches, in milliseconds. A live reader sees an event after at most this time. */
const batchMs = 25;
const longestRetryMs = 2000;

export class LogWriter implements EventSink {
  readonly #append: Append;
  readonly #bounds: EventBounds;
  readonly #onLost: () => void;
  #lastSeq: number;
  #pending: NewEvent[] = [];
  /** The batch whose write failed, so that it may or may not be in the store. */
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
   * @param onLost called once if another process has the run now
   */
  constructor(append: Append, lastSeq: number, bounds: EventBounds, onLost: () => void) {
    this.#append = append;
    this.#lastSeq = lastSeq;
    this.#bounds = bounds;
    this.#onLost = onLost;
  }

  append(event: StoredEventBody): void {
    if (this.#full || this.#closing || this.#stopped) return;
    // A copy is needed, because later texts are joined to it.
    const body = { ...event };
    this.#bytes += Buffer.byteLength(JSON.stringify(body));
    const { maxEvents, maxBytes } = this.#bounds;
    const last = this.#pending.at(-1);
    if (this.#bytes > maxBytes) this.#fill({ type: 'events_full', limit: maxBytes, unit: 'bytes' });
    else if (last && joinText(last.body, body)) this.#schedule();
    else if (this.#count + 1 >= maxEvents) this.#fill({ type: 'events_full', limit: maxEvents, unit: 'events' });
    else this.#push(body);
  }

  /** Settles when everything is written, or when nothing more can be written. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#pausing.abort();
    await this.#writing;
  }

  /** Drops the events that are not written yet. */
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
      // An event may have come after the loop had ended.
      if (this.#pending.length > 0 && !this.#stopped) this.#schedule();
    });
  }

  async #write(): Promise<void> {
    const retry = backoff({ firstMs: 2 * batchMs, longestMs: longestRetryMs });
    // Events of the same step of the event loop go into one batch. The first batch waits no longer than that.
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
        // The store may have written the batch before it went away, so the same batch is written again.
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

/** Joins a text to the text before it. Returns `false` if the two events are not both texts of one kind. */
function joinText(last: StoredEventBody, next: StoredEventBody): boolean {
  if ((last.type !== 'text' && last.type !== 'thinking') || last.type !== next.type) return false;
  last.text += next.text;
  return true;
}
