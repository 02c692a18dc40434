/** Derives the secrets that sign webhooks from one root secret. Each API key has its own secret. */
import { createHmac } from 'node:crypto';
import type { Owner } from '../task.ts';

const prefix = 'whsec_';

/**
 * Returns the secret of one owner, in the form of the Standard Webhooks specification: `whsec_` and base64. The secret
 * reveals neither the root secret nor the secret of another owner, and is the same on every machine that has the root
 * secret.
 * @param root the root secret, in the same form or as any other text
 */
export function webhookSecretOf(root: string, owner: Owner): string {
  // A change to this text would change every secret, and all receivers would refuse the webhooks.
  const derived = createHmac('sha256', keyBytes(root)).update(`claude-agent-server callbacks of ${owner}`);
  return prefix + derived.digest('base64');
}

/** Returns the HMAC key for a secret or a root secret. */
export function keyBytes(secret: string): Buffer {
  return secret.startsWith(prefix) ? Buffer.from(secret.slice(prefix.length), 'base64') : Buffer.from(secret);
}
