/** The root of all webhook secrets: configured, or made once and kept for every machine that shares the jobs. */
import { randomBytes } from 'node:crypto';
import { callbackSecretProblem } from '../config/callback-secret.ts';
import type { Config } from '../config/config.ts';
import { findKeptSecret, keepSecret } from '../config/kept-secret.ts';
import type { JobStore } from '../store/job-store.ts';

const name = 'callback-secret';

/**
 * Throws an Error with one line when CALLBACK_SECRET cannot be used, or the kept root cannot be read or written.
 * @param keys every API key, also one that is kept in the data folder and so is not in the settings
 */
export async function loadRootSecret(
  { callbackSecret, dataDir, databaseUrl }: Pick<Config, 'callbackSecret' | 'dataDir' | 'databaseUrl'>,
  store: JobStore,
  keys: string[],
): Promise<string> {
  if (callbackSecret !== undefined) {
    const problem = callbackSecretProblem(callbackSecret, keys);
    if (problem) throw new Error(problem);
    return callbackSecret;
  }
  const make = () => `whsec_${randomBytes(32).toString('base64')}`;
  if (databaseUrl === undefined) return (await keepSecret(dataDir, name, make)).secret;
  // A server that begins to share its jobs offers the root it has, so that its receivers can keep their secrets.
  return store.keepSecret(name, (await findKeptSecret(dataDir, name)) ?? make());
}
