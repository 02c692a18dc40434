/** The event log of a chat run. It is in memory, has a limit, and is kept for readers that join later. */
import { ServiceError } from '../errors.ts';
import type { RunEvent } from '../task.ts';
import type { EventLog, Page } from './follow.ts';
import { shortenEvent } from './shorten.ts';

/** The most characters of text in one run. An agent that writes more is ended. */
const maxTextLength = 4 * 1024 * 1024;
/** The most characters of tool calls and their results. Further ones are not kept. */
const maxToolLength = 4 * 1024 * 1024;
/**
 * A reader that is this many events behind gets joined texts of up to `joinedLength` characters, `joinedPage` at a
 * time.
 */
const behindFrom = 1000;
const joinedLength = 16_384;
const joinedPage = 16;

export class MemoryLog implements EventLog<RunEvent> {
  readonly #keeps: ReadonlySet<RunEvent['type']>;
  readonly #listeners = new Set<() => void>();
  /** An event's number is its index plus 1. */
  #events: RunEvent[] = [];
  #closed = false;
  #textLength = 0;
  #toolLength = 0;

  /** @param keeps the types of events that readers of this run want; other events are dropped */
  constructor(keeps: ReadonlySet<RunEvent['type']>) {
    this.#keeps = keeps;
  }

  /** The number of characters that the log holds. */
  get size(): number {
    return this.#textLength + this.#toolLength;
  }

  /** Throws `output_too_large`. */
  append(given: RunEvent): void {
    if (!this.#keeps.has(given.type)) return;
    const event = shortenEvent(given);
    if (event.type === 'text' || event.type === 'thinking') {
      this.#textLength += event.text.length;
      if (this.#textLength > maxTextLength) {
        throw new ServiceError('output_too_large', `Cannot hold the answer: over ${maxTextLength} characters`);
      }
    } else if (event.type === 'tool_call' || event.type === 'tool_result') {
      this.#toolLength += JSON.stringify(event).length;
      if (this.#toolLength > maxToolLength) return;
    }
    this.#events.push(event);
    this.#notify();
  }

  /** Ends the log. Readers end after the last event. */
  close(): void {
    this.#closed = true;
    this.#notify();
  }

  read(after: number): Page<RunEvent> {
    const all = this.#events.length;
    if (all - after <= behindFrom) {
      const events = all > after ? this.#events.slice(after) : [];
      return { events, last: Math.max(all, after), more: this.#closed ? 'never' : 'later' };
    }
    const { events, end } = joinTexts(this.#events, after, joinedLength, joinedPage);
    return { events, last: end, more: 'now' };
  }

  onMore(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Joins all texts that follow each other, since many small strings take many times their length. The events get new
   * numbers, so there must be no reader at this time.
   */
  compact(): void {
    this.#events = joinTexts(this.#events, 0, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY).events;
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

/**
 * Returns events from an index on, with texts that follow each other joined.
 * @param start the index of the first event
 * @param maxLength the most characters of a joined text
 * @param maxEvents the most events to return
 * @returns `end`: the index after the last event that was read
 */
function joinTexts(all: RunEvent[], start: number, maxLength: number, maxEvents: number) {
  const events: RunEvent[] = [];
  let end = start;
  while (end < all.length && events.length < maxEvents) {
    const first = all[end] as RunEvent;
    end += 1;
    if (first.type !== 'text' && first.type !== 'thinking') {
      events.push(first);
      continue;
    }
    const texts = [first.text];
    let length = first.text.length;
    for (let next = all[end]; next?.type === first.type; next = all[end]) {
      length += next.text.length;
      if (length > maxLength) break;
      texts.push(next.text);
      end += 1;
    }
    events.push({ ...first, text: texts.join('') });
  }
  return { events, end };
}
