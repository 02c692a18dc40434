/** The event log of a chat run: in memory, bounded, and kept for the readers that join later. */
import { ServiceError } from '../errors.ts';
import type { RunEvent } from '../task.ts';
import type { EventLog, Numbered, Page } from './follow.ts';
import { shortenEvent } from './shorten.ts';

/** Characters. An agent that streams more is ended: the limit on what it may print is about the same. */
const maxTextLength = 4 * 1024 * 1024;
/** Characters of tool calls and their results; further ones are left out. */
const maxToolLength = 4 * 1024 * 1024;
/** A reader that is behind by more events than this gets texts joined, up to so many characters. */
const behindFrom = 100;
const joinedLength = 16_384;

export class MemoryLog implements EventLog<RunEvent> {
  readonly #keeps: ReadonlySet<RunEvent['type']>;
  readonly #listeners = new Set<() => void>();
  #events: Numbered<RunEvent>[] = [];
  #last = 0;
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
    this.#last += 1;
    this.#events.push({ ...event, seq: this.#last });
    this.#notify();
  }

  /** No event follows. */
  close(): void {
    this.#closed = true;
    this.#notify();
  }

  read(after: number): Page<RunEvent> {
    const unread = this.#events.slice(this.#indexAfter(after));
    const events = unread.length > behindFrom ? joinTexts(unread, joinedLength) : unread;
    return { events, more: this.#closed ? 'never' : 'later' };
  }

  onMore(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Joins all texts that follow each other: many small ones take many times their length. Nobody may be reading. */
  compact(): void {
    this.#events = joinTexts(this.#events, Number.POSITIVE_INFINITY);
  }

  /** Nearly always the reader has all but the newest. */
  #indexAfter(after: number): number {
    let index = this.#events.length;
    while (index > 0 && (this.#events[index - 1]?.seq ?? 0) > after) index -= 1;
    return index;
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** Texts that follow each other as one, under the number of the last. */
function joinTexts(events: Numbered<RunEvent>[], maxLength: number): Numbered<RunEvent>[] {
  const joined: Numbered<RunEvent>[] = [];
  for (const event of events) {
    const last = joined.at(-1);
    if (
      (last?.type === 'text' || last?.type === 'thinking') &&
      last.type === event.type &&
      last.text.length + event.text.length <= maxLength
    ) {
      joined[joined.length - 1] = { ...event, text: last.text + event.text };
    } else {
      joined.push(event);
    }
  }
  return joined;
}
