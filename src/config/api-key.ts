/** The key that clients send: the operator's, or one made on the first start and kept in the data folder. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { findKeptSecret, keepSecret } from './kept-secret.ts';

export type ApiKey = {
  /** Empty: no key is configured, and nothing is open. */
  token: string;
  /** Made just now: the caller says where it is. */
  created: boolean;
};

const fileName = 'api-key';

/** @param configured `undefined`: not set; empty: set to nothing */
export async function loadApiKey(configured: string | undefined, dataDir: string): Promise<ApiKey> {
  if (configured !== undefined) return { token: configured, created: false };
  const make = () => `cas-${randomBytes(24).toString('base64url')}`;
  const { secret, created } = await keepSecret(dataDir, fileName, make);
  return { token: secret, created };
}

/** The key that a server with these settings would have; `undefined`: it would make one. */
export async function findApiKey(configured: string | undefined, dataDir: string): Promise<string | undefined> {
  return configured ?? (await findKeptSecret(dataDir, fileName));
}

/** Where a key that was not configured is kept. */
export function apiKeyPath(dataDir: string): string {
  return join(dataDir, fileName);
}
