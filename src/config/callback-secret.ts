/** The rules for CALLBACK_SECRET. The holder of any key knows a secret that is derived from it, and could try to guess it. */

/** The minimum in the Standard Webhooks specification. */
const leastBytes = 24;

/** Why it cannot be used, as one line without the secret; `undefined`: it can. */
export function callbackSecretProblem(secret: string, keys: string[]): string | undefined {
  const encoded = /^whsec_(.*)$/s.exec(secret)?.[1];
  if (encoded !== undefined && !/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) {
    return 'Cannot use CALLBACK_SECRET: what follows "whsec_" is not base64';
  }
  const bytes = encoded === undefined ? Buffer.byteLength(secret) : Buffer.from(encoded, 'base64').length;
  if (bytes < leastBytes) return `Cannot use CALLBACK_SECRET: it has ${bytes} bytes and needs at least ${leastBytes}`;
  if (keys.some((key) => key.trim() === secret.trim())) {
    return 'Cannot use CALLBACK_SECRET: it is one of the API keys; it must be a secret of its own';
  }
  return undefined;
}
