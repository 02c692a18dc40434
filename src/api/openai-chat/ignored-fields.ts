/** Finds the fields of a request that have no effect here. */
import { type ChatBody, fieldsWithoutEffect } from './request-shape.ts';

/** Values that ask for nothing, so the answer need not name these fields. */
const withoutEffect: Record<string, unknown> = { logprobs: false, store: false, service_tier: 'auto', top_logprobs: 0 };

/**
 * Returns the names of these fields, such as `temperature` or `messages.name`. The known ones come first.
 * @param given the request as it came
 * @param read the request after it was checked: other fields than those of the shape are not in it
 */
export function ignoredFields(given: unknown, read: ChatBody): string[] {
  const known = fieldsWithoutEffect.filter((name) => asksForSomething(name, read[name as keyof ChatBody]));
  if (read.stream_options && read.stream !== true) known.push('stream_options');
  const unknown = new Set<string>();
  collectUnread(given, read, '', unknown);
  return [...known, ...unknown];
}

function asksForSomething(name: string, value: unknown): boolean {
  if (value === null || value === undefined) return false;
  return !Object.hasOwn(withoutEffect, name) || withoutEffect[name] !== value;
}

/** Adds the paths of the fields that are in `given` and not in `read`. Equal fields of all items of a list are one. */
function collectUnread(given: unknown, read: unknown, path: string, found: Set<string>): void {
  if (typeof given !== 'object' || given === null || typeof read !== 'object' || read === null) return;
  if (Array.isArray(given)) {
    const items = read as unknown[];
    for (const [at, item] of given.entries()) collectUnread(item, items[at], path, found);
    return;
  }
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined) continue;
    const field = path === '' ? name : `${path}.${name}`;
    if (!Object.hasOwn(read, name)) found.add(field);
    else collectUnread(value, (read as Record<string, unknown>)[name], field, found);
  }
}
