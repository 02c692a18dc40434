/** One attempt to deliver a callback: signed, to one fixed address, with a deadline, following nothing. */
import { createHmac } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { resolveCallback } from './address.ts';
import { keyBytes } from './secret.ts';

export type CallbackAttempt = { url: string; id: string; body: string; secret: string; allowPrivate: boolean };

/** Of the whole attempt, in milliseconds. */
const deadlineMs = 10_000;
const tooLate = `no answer within ${deadlineMs / 1000} s`;
const maxAnswerBytes = 64 * 1024;

/** The status of the answer. Throws an Error whose message is one line without addresses. */
export async function sendCallback(attempt: CallbackAttempt): Promise<number> {
  const url = new URL(attempt.url);
  const deadline = AbortSignal.timeout(deadlineMs);
  const { address, family } = await before(deadline, resolveCallback(url, attempt.allowPrivate));
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
        'content-length': Buffer.byteLength(attempt.body),
        'user-agent': 'claude-agent-server',
        'webhook-id': attempt.id,
        'webhook-timestamp': timestamp,
        'webhook-signature': sign(attempt.secret, attempt.id, timestamp, attempt.body),
      },
    });
    sent.on('error', (error) => reject(new Error(reasonOf(error), { cause: error })));
    sent.on('response', (answer) => {
      let size = 0;
      answer.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxAnswerBytes) answer.destroy();
      });
      // What the receiver says beside the status is of no use to anyone here.
      answer.on('error', () => {});
      answer.on('close', () => resolve(answer.statusCode ?? 0));
    });
    sent.end(attempt.body);
  });
}

/** As the Standard Webhooks specification has it: `v1,` and the base64 of an HMAC-SHA256 over `id.timestamp.body`. */
export function sign(secret: string, id: string, timestamp: number, body: string): string {
  return `v1,${createHmac('sha256', keyBytes(secret)).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

/** A name server that does not answer is no reason to wait longer. */
function before<T>(deadline: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  deadline.addEventListener('abort', () => reject(new Error(tooLate)), { once: true });
  const named = work.catch((error: NodeJS.ErrnoException) => {
    throw error.code === undefined ? error : new Error(`its name cannot be resolved (${error.code})`, { cause: error });
  });
  return Promise.race([named, promise]);
}

function reasonOf(error: Error): string {
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return tooLate;
  return (error as NodeJS.ErrnoException).code ?? 'the connection failed';
}
