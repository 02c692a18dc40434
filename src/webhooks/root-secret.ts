/**
 * Loads the root secret, from which all webhook secrets are derived. It is configured, or made once and kept for all
 * machines that share the jobs.
 */
import { randomBytes } from 'node:crypto';
import { callbackSecretProblem } from '../config/callback-secret.ts';
import type { Config } from '../config/config.ts';
import { findKeptSecret, keepSecret } from '../config/kept-secret.ts';
import type { JobStore } from '../store/job-store.ts';

const name = 'callback-secret';

/**
 * Returns the root secret. Throws an Error with a one-line message if CALLBACK_SECRET cannot be used, or if the kept
 * root secret cannot be read or written.
 * @param keys every API key, including a key that is kept in the data folder and so is not in the settings
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
  // A server that begins to share its jobs offers the root secret it already has, so that its webhook receivers need no
  // new secrets.
  return store.keepSecret(name, (await findKeptSecret(dataDir, name)) ?? make());
}
