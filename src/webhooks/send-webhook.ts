/**
 * Makes one attempt to deliver a webhook: signed, to one fixed address, within a time limit, without following
 * redirects.
 */
import { createHmac } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { resolveAddress } from './address.ts';
import { keyBytes } from './secret.ts';

/** `id` is the same in every attempt. `secret` is a secret that `webhookSecretOf` returned. */
export type Webhook = { url: string; id: string; body: string; secret: string; allowPrivate: boolean };

/** The time limit of the whole attempt, in milliseconds. */
const deadlineMs = 10_000;
const tooLate = `no answer within ${deadlineMs / 1000} s`;
const maxAnswerBytes = 64 * 1024;

/**
 * Sends the webhook and returns the HTTP status of the answer. Throws an Error with a one-line message that has no
 * addresses.
 */
export async function sendWebhook(webhook: Webhook): Promise<number> {
  const url = new URL(webhook.url);
  const deadline = AbortSignal.timeout(deadlineMs);
  const { address, family } = await within(deadline, resolveAddress(url, webhook.allowPrivate));
  const timestamp = Math.floor(Date.now() / 1000);
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: 'POST',
      agent: false,
      lookup: (_name, options, done) => (options.all ? done(null, [{ address, family }]) : done(null, address, family)),
      signal: deadline,
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(webhook.body),
        'user-agent': 'claude-agent-server',
        'webhook-id': webhook.id,
        'webhook-timestamp': timestamp,
        'webhook-signature': sign(webhook.secret, webhook.id, timestamp, webhook.body),
      },
    });
    sent.on('error', (error) => reject(new Error(reasonOf(error), { cause: error })));
    sent.on('response', (answer) => {
      let size = 0;
      answer.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxAnswerBytes) answer.destroy();
      });
      // Only the status counts; the body is read so that the connection can end, and its errors do not matter.
      answer.on('error', () => {});
      answer.on('close', () => resolve(answer.statusCode ?? 0));
    });
    sent.end(webhook.body);
  });
}

/**
 * Returns the signature by the Standard Webhooks specification: `v1,` and the base64 of an HMAC-SHA256 over
 * `id.timestamp.body`.
 */
function sign(secret: string, id: string, timestamp: number, body: string): string {
  return `v1,${createHmac('sha256', keyBytes(secret)).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

/** Waits for the look-up until the deadline. The look-up itself cannot be aborted. */
function within<T>(deadline: AbortSignal, lookUp: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  deadline.addEventListener('abort', () => reject(new Error(tooLate)), { once: true });
  const explained = lookUp.catch((error: NodeJS.ErrnoException) => {
    throw error.code === undefined
      ? error
      : new Error(`its host name cannot be resolved (${error.code})`, { cause: error });
  });
  return Promise.race([explained, promise]);
}

function reasonOf(error: Error): string {
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return tooLate;
  return (error as NodeJS.ErrnoException).code ?? 'the connection failed';
}
