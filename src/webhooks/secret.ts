/** What callbacks are signed with: every key has a secret of its own, derived from one root. */
import { createHmac } from 'node:crypto';
import type { Owner } from '../task.ts';

const prefix = 'whsec_';

/**
 * In the form of the Standard Webhooks specification: `whsec_` and base64. It tells nothing of the root or of another
 * key's secret, and is the same on every machine that has the root.
 * @param root in the same form, or any text
 */
export function callbackSecretOf(root: string, owner: Owner): string {
  const derived = createHmac('sha256', keyBytes(root)).update(`claude-agent-server callbacks of ${owner}`);
  return prefix + derived.digest('base64');
}

/** The bytes that sign. */
export function keyBytes(secret: string): Buffer {
  return secret.startsWith(prefix) ? Buffer.from(secret.slice(prefix.length), 'base64') : Buffer.from(secret);
}
