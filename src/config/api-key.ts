/** Loads the operator's API key, which is configured, or made on the first start and kept in the data folder. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { findKeptSecret, keepSecret } from './kept-secret.ts';

/** Returns why no request could carry the key, as the end of a sentence without the key. Returns `undefined` if it can. */
export function apiKeyProblem(key: string): string | undefined {
  const [wrong] = /[^\x21-\x7e]/u.exec(key) ?? [];
  if (wrong === undefined) return undefined;
  const what = /\s/.test(wrong) ? 'white space' : 'a character that is not ASCII or cannot be seen';
  return `it has ${what} in it, which a header cannot carry; a key has only visible ASCII characters`;
}

export type ApiKey = {
  /** The key. Empty if the setting is an empty text; every request that needs a key is then refused. */
  token: string;
  /** Whether this call made the key, so that the operator does not know it yet. */
  created: boolean;
};

const fileName = 'api-key';

/**
 * Throws an Error with one line if the key in the data folder cannot be used.
 * @param configured the value of the setting. Undefined if it is not set, and empty if it is set to an empty text
 */
export async function loadApiKey(configured: string | undefined, dataDir: string): Promise<ApiKey> {
  if (configured !== undefined) return { token: configured, created: false };
  const make = () => `cas-${randomBytes(24).toString('base64url')}`;
  const { secret, created } = await keepSecret(dataDir, fileName, make);
  return { token: usable(secret, dataDir), created };
}

/**
 * Returns the key of a server with these settings. Returns `undefined` if there is no key yet; the server's first start
 * would make one. Throws an Error with one line if the key in the data folder cannot be used.
 */
export async function findApiKey(configured: string | undefined, dataDir: string): Promise<string | undefined> {
  if (configured !== undefined) return configured;
  const kept = await findKeptSecret(dataDir, fileName);
  return kept === undefined ? undefined : usable(kept, dataDir);
}

function usable(kept: string, dataDir: string): string {
  const problem = apiKeyProblem(kept);
  if (problem) throw new Error(`Cannot use the key in ${apiKeyPath(dataDir)}: ${problem}`);
  return kept;
}

/** Returns the path of the file that holds a key that was not configured. */
export function apiKeyPath(dataDir: string): string {
  return join(dataDir, fileName);
}
