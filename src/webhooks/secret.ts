/** The secrets that sign webhooks: each API key has one of its own, derived from one root. */
import { createHmac } from 'node:crypto';
import type { Owner } from '../task.ts';

const prefix = 'whsec_';

/**
 * In the form of the Standard Webhooks specification: `whsec_` and base64. It reveals neither the root nor the secret of
 * another key, and is the same on every machine that has the root.
 * @param root in the same form, or any text
 */
export function webhookSecretOf(root: string, owner: Owner): string {
  // A change of this text changes every secret, and all receivers would refuse the webhooks.
  const derived = createHmac('sha256', keyBytes(root)).update(`claude-agent-server callbacks of ${owner}`);
  return prefix + derived.digest('base64');
}

/** The key of the HMAC for a secret or a root. */
export function keyBytes(secret: string): Buffer {
  return secret.startsWith(prefix) ? Buffer.from(secret.slice(prefix.length), 'base64') : Buffer.from(secret);
}
