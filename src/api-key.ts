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
  if (configured !== undefined) return { token: configured, created: false };
  const file = join(dataDir, fileName);
  const kept = await readFile(file, 'utf8').catch(() => '');
  if (kept.trim() !== '') return { token: kept.trim(), created: false };
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const token = `cas-${randomBytes(24).toString('base64url')}`;
  await writeFile(file, `${token}\n`, { mode: 0o600 });
  return { token, created: true };
}
