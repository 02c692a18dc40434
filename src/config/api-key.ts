/** Loads the operator's API key, which is configured, or made on the first start and kept in the data folder. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { findKeptSecret, keepSecret } from './kept-secret.ts';

export type ApiKey = {
  /** The key. Empty if the setting is an empty text; every request that needs a key is then refused. */
  token: string;
  /** Whether this call made the key, so that the operator does not know it yet. */
  created: boolean;
};

const fileName = 'api-key';

/** @param configured the value of the setting. Undefined if it is not set, and empty if it is set to an empty text */
export async function loadApiKey(configured: string | undefined, dataDir: string): Promise<ApiKey> {
  if (configured !== undefined) return { token: configured, created: false };
  const make = () => `cas-${randomBytes(24).toString('base64url')}`;
  const { secret, created } = await keepSecret(dataDir, fileName, make);
  return { token: secret, created };
}

/**
 * Returns the key of a server with these settings. Returns `undefined` if there is no key yet; the server's first start
 * would make one.
 */
export async function findApiKey(configured: string | undefined, dataDir: string): Promise<string | undefined> {
  return configured ?? (await findKeptSecret(dataDir, fileName));
}

/** Returns the path of the file that holds a key that was not configured. */
export function apiKeyPath(dataDir: string): string {
  return join(dataDir, fileName);
}
