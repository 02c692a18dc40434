/** A server whose event loop is watched, from inside and by requests for its health. */
import { connect } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { scratchFolder } from './fake-model-agent.ts';
import { type ServerProcess, startServerProcess } from './server-process.ts';
import { waitUntil } from './wait-until.ts';
import { watchHealth } from './watch-health.ts';

/** Both in milliseconds. */
export type Delay = {
  /** The longest time for which the event loop was blocked. */
  loop: number;
  /** The longest time without an answer of `/health`. */
  health: number;
};

export type WatchedServer = ServerProcess & {
  /** Runs the work, and returns its result with the delays meanwhile. */
  during<T>(work: () => Promise<T>): Promise<Delay & { result: T }>;
};

const preload = new URL('./loop-delay.ts', import.meta.url).href;

export async function startWatchedServer(t: TestContext, settings: Record<string, string>): Promise<WatchedServer> {
  const socket = join(await scratchFolder(t), 'loop');
  const server = await startServerProcess(t, {
    ...settings,
    LOOP_DELAY_SOCKET: socket,
    NODE_OPTIONS: `--import=${preload}`,
  });
  return {
    ...server,
    async during(work) {
      const health = watchHealth(server.url);
      await waitUntil('the server answers', () => health.count() > 2);
      await longestDelay(socket);
      health.reset();
      const result = await work();
      // The answer may come before the last delay has been measured.
      const seen = health.count();
      await waitUntil('the server answers', () => health.count() > seen + 2);
      const loop = await longestDelay(socket);
      return { result, loop, health: await health.stop() };
    },
  };
}

/** Returns the longest delay of the loop in milliseconds since the last call. */
function longestDelay(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = '';
    connect(path)
      .setEncoding('utf8')
      .on('data', (chunk: string) => {
        text += chunk;
      })
      .once('end', () => resolve(Number(text)))
      .once('error', reject);
  });
}
