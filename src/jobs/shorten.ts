/** Makes what an agent did short enough to be recorded as an event; what was left out is said. */
import type { JobEventBody } from '../store/job.ts';

/** Characters of one string inside a tool's input, and of a tool's result. */
const maxInputString = 2000;
const maxResult = 4000;
/** Members of one list or object in a tool's input, and how deep it may go. */
const maxMembers = 50;
const maxDepth = 6;

/** Text is left whole: it is what a reader follows. */
export function shortenEvent(body: JobEventBody): JobEventBody {
  if (body.type === 'tool_result') return { ...body, text: shortenText(body.text, maxResult) };
  if (body.type === 'tool_call') return { ...body, input: shortenValue(body.input, 0) };
  return body;
}

function shortenText(text: string, limit: number): string {
  if (text.length <= limit) return text;
  return `${text.slice(0, limit).toWellFormed()}… (${text.length - limit} more characters)`;
}

function shortenValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return shortenText(value, maxInputString);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= maxDepth) return '…';
  if (Array.isArray(value)) {
    const shown = value.slice(0, maxMembers).map((item) => shortenValue(item, depth + 1));
    return value.length > maxMembers ? [...shown, `… (${value.length - maxMembers} more items)`] : shown;
  }
  const entries = Object.entries(value);
  const shown = entries.slice(0, maxMembers).map(([key, item]) => [key, shortenValue(item, depth + 1)]);
  if (entries.length > maxMembers) shown.push(['…', `${entries.length - maxMembers} more fields`]);
  return Object.fromEntries(shown);
}
