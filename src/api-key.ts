/** The key that clients send: the operator's, or one made on the first start and kept in the data folder. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export type ApiKey = {
  /** Empty: no key is configured, and nothing is open. */
  token: string;
  /** Made just now: the caller shows it, once. */
  created: boolean;
};

const fileName = 'api-key';

/** @param configured `undefined`: not set; empty: set to nothing */
export async function loadApiKey(configured: string | undefined, dataDir: string): Promise<ApiKey> {
  const found = await findApiKey(configured, dataDir);
  if (found !== undefined) return { token: found, created: false };
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const token = `cas-${randomBytes(24).toString('base64url')}`;
  await writeFile(join(dataDir, fileName), `${token}\n`, { mode: 0o600 });
  return { token, created: true };
}

/** The key that a server with these settings would have; `undefined`: it would make one. */
export async function findApiKey(configured: string | undefined, dataDir: string): Promise<string | undefined> {
  if (configured !== undefined) return configured;
  const kept = await readFile(join(dataDir, fileName), 'utf8').catch(() => '');
  return kept.trim() || undefined;
}
