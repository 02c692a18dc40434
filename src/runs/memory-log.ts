/** The event log of a chat run. It is in memory, has a limit, and is kept for readers that join later. */
import { ServiceError } from '../errors.ts';
import type { RunEvent } from '../task.ts';
import type { EventLog, Page } from './follow.ts';
import { type Shortening, shortenEvent, withoutContent } from './shorten.ts';

/** The most characters of text in one run. An agent that writes more is ended. */
const maxTextLength = 4 * 1024 * 1024;
/**
 * The most characters of tool calls and their results, as JSON. Further ones are kept without their content, up to the
 * same number of characters again. Then the agent is ended.
 */
const maxToolLength = 4 * 1024 * 1024;
/** Streams show less than this of each tool call and result. */
const shortening: Shortening = { inputString: 1000, result: 1000 };
/**
 * A reader that is this many events behind gets joined texts of up to `joinedLength` characters, `joinedPage` at a
 * time.
 */
const behindFrom = 1000;
const joinedLength = 16_384;
const joinedPage = 16;

/**
 * The types of events that readers of a run want; other events are not kept. `brief`: they want no content, only the
 * fact that there was such an event.
 */
export type Wanted = ReadonlyMap<RunEvent['type'], 'whole' | 'brief'>;

export class MemoryLog implements EventLog<RunEvent> {
  readonly #wanted: Wanted;
  readonly #listeners = new Set<() => void>();
  /** An event's number is its index plus 1. */
  #events: RunEvent[] = [];
  #closed = false;
  #textLength = 0;
  #toolLength = 0;

  constructor(wanted: Wanted) {
    this.#wanted = wanted;
  }

  /** The number of characters that the log holds. */
  get size(): number {
    return this.#textLength + this.#toolLength;
  }

  /** Throws `output_too_large`. */
  append(given: RunEvent): void {
    const wanted = this.#wanted.get(given.type);
    if (!wanted) return;
    const isTool = given.type === 'tool_call' || given.type === 'tool_result';
    this.#events.push(isTool ? this.#boundTool(given, wanted) : this.#boundText(given));
    this.#notify();
  }

  #boundText(event: RunEvent): RunEvent {
    if (event.type === 'text' || event.type === 'thinking') this.#textLength += event.text.length;
    if (this.#textLength <= maxTextLength) return event;
    throw new ServiceError('output_too_large', `Cannot hold the answer: over ${maxTextLength} characters`);
  }

  #boundTool(given: RunEvent, wanted: 'whole' | 'brief'): RunEvent {
    const short = wanted === 'whole' && shortenEvent(given, shortening);
    const length = short ? JSON.stringify(short).length : 0;
    if (short && this.#toolLength + length <= maxToolLength) {
      this.#toolLength += length;
      return short;
    }
    const brief = withoutContent(given);
    this.#toolLength += JSON.stringify(brief).length;
    if (this.#toolLength <= 2 * maxToolLength) return brief;
    throw new ServiceError(
      'output_too_large',
      `Cannot hold the events: over ${2 * maxToolLength} characters of tool calls`,
    );
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
