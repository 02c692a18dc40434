/** Receives the notifications of other processes over one connection, which is made again when it breaks. */
import pg from 'pg';
import { backoff } from '../waits.ts';
import type { Notifications, Topic } from './notifications.ts';
import { usualWaits } from './postgres-database.ts';

export const channel = 'agent_jobs';

/**
 * Listens for notifications until `stop` is called.
 * @param onError called for each failed connection. The wait before the next connection grows
 */
export function listen(
  url: string,
  notifications: Notifications,
  onError: (error: unknown) => void,
): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const { signal } = stopping;
  const ended = (async () => {
    const waits = backoff({ firstMs: 50, longestMs: 2000 });
    while (!signal.aborted) {
      await listenOnce(url, notifications, signal, waits.reset).catch((error: unknown) => {
        if (!signal.aborted) onError(error);
      });
      await waits.wait(signal);
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await ended;
    },
  };
}

/** Listens over one connection. Settles when the connection ends or `signal` aborts. */
async function listenOnce(
  url: string,
  notifications: Notifications,
  signal: AbortSignal,
  onStart: () => void,
): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'claude-agent-server',
    keepAlive: true,
    connectionTimeoutMillis: usualWaits.answerMs,
    query_timeout: usualWaits.answerMs,
  });
  // These listeners stay until the end: the client may emit further errors, even while it ends, and every error needs a
  // listener.
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
  ended.catch(() => {});
  client.on('error', reject);
  client.on('end', resolve);
  client.on('notification', ({ payload = '' }) => notifications.notify(payload as Topic));
  const onAbort = () => resolve();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await client.connect();
    await client.query(`LISTEN ${channel}`);
    onStart();
    // Notifications that were sent before this connection listened are lost, so all listeners are notified now.
    notifications.notifyAll();
    if (!signal.aborted) await ended;
  } finally {
    signal.removeEventListener('abort', onAbort);
    await client.end().catch(() => {});
  }
}
