/**
 * Checks CALLBACK_SECRET, which must be hard to guess: the holder of any API key knows a secret that is derived from
 * it.
 */

/** The minimum length in the Standard Webhooks specification, in bytes. */
const leastBytes = 24;

/** Returns why the secret cannot be used, as one line without the secret. Returns `undefined` if it can be used. */
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
