/** Authenticates requests by their key, and names the owner of a key. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { ServiceError } from '../errors.ts';
import type { Owner } from '../task.ts';

/** The headers of a request, with all values of each. Names are in lower case. */
export type Headers = NodeJS.Dict<string[]>;

export type Auth = {
  /**
   * Returns the owner of the key in the headers: a short digest of the key. Throws `unauthorized` if there is no key,
   * if it is wrong, or if the headers have different keys. The message names the headers but repeats nothing of them.
   * The comparison takes the same time for every key, right or wrong.
   * @param asPage whether a browser's password dialogue is accepted too, with the key as the password
   */
  ownerOf(headers: Headers, asPage: boolean): Owner;
};

/** The headers besides `Authorization` that may have the key: those of Anthropic's and of Azure's clients. */
const plainHeaders = ['x-api-key', 'api-key'];

type GivenKey = { header: string; key: string };

/** @param keys the accepted keys; empty keys are ignored */
export function createAuth(keys: string[]): Auth {
  const known = keys.filter((key) => key !== '').map(digest);
  const find = (key: string): Buffer | undefined => {
    const sent = digest(key);
    // Every key is compared, so that the time does not show which key was similar.
    return known.filter((each) => timingSafeEqual(each, sent))[0];
  };
  return {
    ownerOf(headers, asPage) {
      const given = keysIn(headers, asPage);
      const [first] = given;
      if (!first) throw unauthorized(whyMissing(headers, asPage));
      const other = given.find(({ key }) => key !== first.key);
      if (other) throw unauthorized(`${namesOf(first, other)} have different keys; send one key`);
      const key = find(first.key);
      if (!key) throw unauthorized(`the key in ${first.header} is wrong`);
      return ownerOf(key);
    },
  };
}

/** Returns the owner whose key this is. */
export function ownerOfKey(key: string): Owner {
  return ownerOf(digest(key));
}

function keysIn(headers: Headers, asPage: boolean): GivenKey[] {
  const authorization = headers['authorization'] ?? [];
  const read = (header: string, values: (string | undefined)[]) =>
    values.filter((key) => key !== undefined && key !== '').map((key) => ({ header, key: key as string }));
  return [
    ...read('Authorization', authorization.map(bearer)),
    ...(asPage ? read('Authorization', authorization.map(password)) : []),
    ...plainHeaders.flatMap((header) => read(header, headers[header] ?? [])),
  ];
}

function whyMissing(headers: Headers, asPage: boolean): string {
  const how = `send "Authorization: Bearer KEY", ${plainHeaders.map((name) => `"${name}: KEY"`).join(' or ')}`;
  const page = asPage ? '; in a browser, the key is the password' : '';
  const found = headers['authorization'] ? 'Authorization has no bearer token' : 'no header has a key';
  return `${found}; ${how}${page}`;
}

function namesOf(one: GivenKey, other: GivenKey): string {
  return one.header === other.header ? `two headers ${one.header}` : `${one.header} and ${other.header}`;
}

function unauthorized(why: string): ServiceError {
  return new ServiceError('unauthorized', `Cannot accept the request: ${why}`);
}

function ownerOf(key: Buffer): Owner {
  return key.toString('hex').slice(0, 16);
}

function bearer(authorization: string): string | undefined {
  return /^ *Bearer +(\S+) *$/i.exec(authorization)?.[1];
}

function password(authorization: string): string | undefined {
  const encoded = /^Basic +(\S+)$/i.exec(authorization)?.[1];
  if (encoded === undefined) return undefined;
  const pair = Buffer.from(encoded, 'base64').toString();
  return pair.slice(pair.indexOf(':') + 1);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
