/** Receives the notifications of other processes, over one connection that is made again when it breaks. */
import { setTimeout } from 'node:timers/promises';
import pg from 'pg';
import type { Notifications, Topic } from './notifications.ts';

export const channel = 'agent_jobs';

const longestRetryMs = 2000;

export function listen(
  url: string,
  notifications: Notifications,
  onError: (error: unknown) => void,
): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const ended = (async () => {
    for (let retryMs = 50; !stopping.signal.aborted; retryMs = Math.min(longestRetryMs, retryMs * 2)) {
      try {
        await listenOnce(url, notifications, stopping.signal, () => {
          retryMs = 50;
        });
      } catch (error) {
        if (!stopping.signal.aborted) onError(error);
      }
      await pause(retryMs, stopping.signal);
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await ended;
    },
  };
}

/** Settles when the connection ends or `signal` aborts. */
async function listenOnce(
  url: string,
  notifications: Notifications,
  signal: AbortSignal,
  onStart: () => void,
): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: 'claude-agent-server', keepAlive: true });
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
  client.on('error', reject);
  client.on('end', resolve);
  client.on('notification', ({ payload = '' }) => notifications.notify(payload as Topic));
  const onAbort = () => resolve();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await client.connect();
    await client.query(`LISTEN ${channel}`);
    onStart();
    // Notifications that were sent before this connection listened are lost.
    notifications.notifyAll();
    if (!signal.aborted) await ended;
  } finally {
    signal.removeEventListener('abort', onAbort);
    ended.catch(() => {});
    await client.end().catch(() => {});
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => {});
}
