/** The operator's API key: configured, or made on the first start and kept in the data folder. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { findKeptSecret, keepSecret } from './kept-secret.ts';

export type ApiKey = {
  /** Empty: the setting is empty, and every request that needs a key is refused. */
  token: string;
  /** The key was made by this call, so the operator does not know it yet. */
  created: boolean;
};

const fileName = 'api-key';

/** @param configured `undefined`: not set; empty: set to an empty text */
export async function loadApiKey(configured: string | undefined, dataDir: string): Promise<ApiKey> {
  if (configured !== undefined) return { token: configured, created: false };
  const make = () => `cas-${randomBytes(24).toString('base64url')}`;
  const { secret, created } = await keepSecret(dataDir, fileName, make);
  return { token: secret, created };
}

/** The key of a server with these settings; `undefined`: there is none yet, and its first start would make one. */
export async function findApiKey(configured: string | undefined, dataDir: string): Promise<string | undefined> {
  return configured ?? (await findKeptSecret(dataDir, fileName));
}

/** The file of a key that was not configured. */
export function apiKeyPath(dataDir: string): string {
  return join(dataDir, fileName);
}
