/** Measures for how long a server does not answer. */
import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';

/** Requests the health of a server repeatedly until it is stopped. Each answer must have status 200. */
export function watchHealth(url: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let answered = performance.now();
  let longest = 0;
  let count = 0;
  let stopped = false;
  const once = () =>
    new Promise<void>((resolve, reject) => {
      request(`${url}/health`, { agent }, (response) => {
        response.resume().once('end', resolve);
        assert.equal(response.statusCode, 200);
      })
        .once('error', reject)
        .end();
    });
  const done = (async () => {
    while (!stopped) {
      await once();
      longest = Math.max(longest, performance.now() - answered);
      answered = performance.now();
      count += 1;
    }
  })();
  return {
    count: () => count,
    reset() {
      longest = 0;
      answered = performance.now();
    },
    /** Returns the longest time without an answer, in milliseconds. */
    async stop(): Promise<number> {
      stopped = true;
      await done;
      agent.destroy();
      return longest;
    },
  };
}
