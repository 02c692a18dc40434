/** The root of all callback secrets: configured, or made once and kept where every machine that shares the jobs finds it. */
import { randomBytes } from 'node:crypto';
import { callbackSecretProblem } from '../config/callback-secret.ts';
import type { Config } from '../config/config.ts';
import { findKeptSecret, keepSecret } from '../config/kept-secret.ts';
import type { JobStore } from '../store/job-store.ts';

const name = 'callback-secret';

/**
 * Throws an Error with one line when CALLBACK_SECRET cannot be used, or the kept root cannot be had.
 * @param keys also the one that is kept in the data folder, which the settings do not know
 */
export async function loadCallbackRoot(
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
  // A server that had its jobs to itself before brings its root along, so that its receivers need not change.
  return store.keepSecret(name, (await findKeptSecret(dataDir, name)) ?? make());
}
