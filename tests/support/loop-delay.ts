/**
 * Runs in the server's process, by `--import`: measures how long its event loop was blocked. Answers on the socket that
 * `LOOP_DELAY_SOCKET` names with the longest delay in milliseconds since the answer before.
 */
import { createServer } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';
import { hostEnvironment } from '../../src/config/config.ts';

const path = hostEnvironment()['LOOP_DELAY_SOCKET'];

if (isMainThread && path) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const server = createServer((socket) => {
    socket.end(String(delay.max / 1e6));
    delay.reset();
  });
  server.listen(path).unref();
}
