/** The event log of a chat run: in memory, bounded, and kept for the readers that join later. */
import { ServiceError } from '../errors.ts';
import type { RunEvent } from '../task.ts';
import type { EventLog, Page } from './follow.ts';
import { shortenEvent } from './shorten.ts';

/** Characters. An agent that streams more is ended: the limit on what it may print is about the same. */
const maxTextLength = 4 * 1024 * 1024;
/** Characters of tool calls and their results; further ones are left out. */
const maxToolLength = 4 * 1024 * 1024;
/** A reader that is behind by more events than this gets texts joined, up to so many characters, in short pages. */
const behindFrom = 1000;
const joinedLength = 16_384;
const joinedPage = 16;

export class MemoryLog implements EventLog<RunEvent> {
  readonly #keeps: ReadonlySet<RunEvent['type']>;
  readonly #listeners = new Set<() => void>();
  /** The number of an event is its index and 1. */
  #events: RunEvent[] = [];
  #closed = false;
  #textLength = 0;
  #toolLength = 0;

  /** @param keeps the types of events that a reader of this run will ask for; others are dropped */
  constructor(keeps: ReadonlySet<RunEvent['type']>) {
    this.#keeps = keeps;
  }

  /** Characters that it holds. */
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

  /** No event follows. */
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
   * Joins all texts that follow each other: many small ones take many times their length. Nobody may be reading, since the
   * events get new numbers.
   */
  compact(): void {
    this.#events = joinTexts(this.#events, 0, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY).events;
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

/**
 * Makes one text of texts that follow each other.
 * @param start the index to begin at
 * @param maxLength characters of a joined text
 * @param maxEvents how many events to return
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
