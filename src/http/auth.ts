/** Authenticates requests by their key, and names the owner of a key. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { ServiceError } from '../errors.ts';
import type { Owner } from '../task.ts';

export type Auth = {
  /**
   * Returns the owner of the key in the header: a short digest of the key. Throws `unauthorized` if the key is missing
   * or wrong. The comparison takes the same time for every key, right or wrong.
   * @param asPage whether a browser's password dialogue is accepted too, with the key as the password
   */
  ownerOf(authorization: string | undefined, asPage: boolean): Owner;
};

/** @param keys the accepted keys; empty keys are ignored */
export function createAuth(keys: string[]): Auth {
  const known = keys.filter((key) => key !== '').map(digest);
  const find = (given: string | undefined): Buffer | undefined => {
    if (given === undefined) return undefined;
    const sent = digest(given);
    // Every key is compared, so that the time does not show which key was similar.
    return known.filter((key) => timingSafeEqual(key, sent))[0];
  };
  return {
    ownerOf(authorization, asPage) {
      const key = find(bearer(authorization)) ?? (asPage ? find(password(authorization)) : undefined);
      if (key) return ownerOf(key);
      throw new ServiceError('unauthorized');
    },
  };
}

/** Returns the owner whose key this is. */
export function ownerOfKey(key: string): Owner {
  return ownerOf(digest(key));
}

function ownerOf(key: Buffer): Owner {
  return key.toString('hex').slice(0, 16);
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
