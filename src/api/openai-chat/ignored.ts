/** Which fields of a request have no effect here: a caller is told, instead of being left to wonder. */
import { type ChatBody, isHonoured } from './request-shape.ts';

/** Values that ask for nothing beyond what happens anyway. */
const withoutEffect: Record<string, unknown> = { logprobs: false, store: false, service_tier: 'auto', top_logprobs: 0 };

const maxNames = 50;

/** Names of what was sent and is passed over; of unknown fields only well-formed names, as they go into a header. */
export function ignoredFields(body: ChatBody): string[] {
  const names: string[] = [];
  for (const name of Object.keys(body)) {
    if (names.length === maxNames) break;
    if (isIgnored(body, name)) names.push(name);
  }
  return names;
}

function isIgnored(body: ChatBody, name: string): boolean {
  const value = body[name];
  if (value === null || value === undefined) return false;
  if (Object.hasOwn(withoutEffect, name) && withoutEffect[name] === value) return false;
  if (name === 'stream_options') return body.stream !== true;
  return !isHonoured(name) && /^[A-Za-z0-9_.-]{1,64}$/.test(name);
}
