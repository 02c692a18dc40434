/** Finds the fields of a request that have no effect here, so that the answer can name them. */
import { type ChatBody, isHonoured } from './request-shape.ts';

/** Values that change nothing, so they need not be named. */
const withoutEffect: Record<string, unknown> = { logprobs: false, store: false, service_tier: 'auto', top_logprobs: 0 };

const maxNames = 50;

/** The names go into a header, so of unknown fields only well-formed names are listed. */
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
