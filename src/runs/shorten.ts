/** Shortens the tool calls and tool results that a log keeps. A shortened text says how much was left out. */
import type { StoredEventBody } from '../store/job.ts';
import { startOf } from '../truncate.ts';

export type Shortening = {
  /** The most characters of a string in a tool's input, and in `result` of a tool's result. */
  inputString: number;
  result: number;
};

const usual: Shortening = { inputString: 2000, result: 4000 };
/** The most members of a list or object in a tool's input, and in `maxDepth` the most levels. */
const maxMembers = 50;
const maxDepth = 6;

/** Returns a copy. The agent's text is not shortened, because it is the answer. */
export function shortenEvent<Event extends StoredEventBody>(event: Event, limits = usual): Event {
  if (event.type === 'tool_result') return { ...event, text: shortenText(event.text, limits.result) };
  if (event.type === 'tool_call') return { ...event, input: shortenValue(event.input, limits.inputString, 0) };
  return event;
}

/** Returns a copy without the input of a tool call and without the text of a tool result. */
export function withoutContent<Event extends StoredEventBody>(event: Event): Event {
  if (event.type === 'tool_result') return { ...event, text: leftOut };
  if (event.type === 'tool_call') return { ...event, input: leftOut };
  return event;
}

const leftOut = '… (left out)';

function shortenText(text: string, limit: number): string {
  if (text.length <= limit) return text;
  return `${startOf(text, limit)}… (${text.length - limit} more characters)`;
}

function shortenValue(value: unknown, maxString: number, depth: number): unknown {
  if (typeof value === 'string') return shortenText(value, maxString);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= maxDepth) return '…';
  if (Array.isArray(value)) {
    const shown = value.slice(0, maxMembers).map((item) => shortenValue(item, maxString, depth + 1));
    return value.length > maxMembers ? [...shown, `… (${value.length - maxMembers} more items)`] : shown;
  }
  const entries = Object.entries(value);
  const shown = entries.slice(0, maxMembers).map(([key, item]) => [key, shortenValue(item, maxString, depth + 1)]);
  if (entries.length > maxMembers) shown.push(['…', `${entries.length - maxMembers} more fields`]);
  return Object.fromEntries(shown);
}
