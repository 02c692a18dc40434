/** Who may ask: the bearer of the one key. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { ServiceError } from '../errors.ts';
import type { Owner } from '../task.ts';

export type Auth = {
  /** A short digest of the key, to tell callers apart by. */
  owner: Owner;
  /**
   * Throws `unauthorized`. Every comparison takes the same time, whatever is sent.
   * @param asPage a browser's own dialogue for name and password will do, with the key as the password
   */
  check(authorization: string | undefined, asPage: boolean): void;
};

export function createAuth(token: string): Auth {
  const expected = digest(token);
  const isKey = (given: string | undefined) =>
    timingSafeEqual(digest(given ?? ''), expected) && token !== '' && given !== undefined;
  return {
    owner: expected.toString('hex').slice(0, 16),
    check(authorization, asPage) {
      if (isKey(bearer(authorization))) return;
      if (asPage && isKey(password(authorization))) return;
      throw new ServiceError('unauthorized', 'Cannot let the request in: the bearer token is missing or wrong');
    },
  };
}

function bearer(authorization: string | undefined): string | undefined {
  return /^ *Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
}

function password(authorization: string | undefined): string | undefined {
  const encoded = /^Basic +(\S+)$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const pair = Buffer.from(encoded, 'base64').toString();
  return pair.slice(pair.indexOf(':') + 1);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
