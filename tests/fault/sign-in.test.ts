/** The check of the login with commands that are not Claude Code: the check ends, and all their processes end with it. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { findSignIn } from '../../src/agents/sign-in.ts';
import { hostEnvironment } from '../../src/config/config.ts';
import { listMarked } from '../../src/processes/process-tree.ts';
import { openRooms } from '../support/rooms.ts';
import { faultAgent } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

for (const [agent, how] of [
  ['leaves-grandchild', 'gave no status'],
  ['hangs-with-grandchild', 'did not answer'],
] as const) {
  test(`the check of the login leaves no process of "${agent}" running`, async (t) => {
    const marker = `test-sign-in:${randomUUID()}`;
    const running = () => listMarked((found) => found === marker);
    const hangs = agent === 'hangs-with-grandchild';
    const client = new AbortController();
    const asked = findSignIn({
      rooms: await openRooms(t, hostEnvironment()),
      claudeBin: faultAgent(agent),
      marker,
      signal: client.signal,
    });
    if (hangs) {
      await waitUntil('both processes run', async () => (await running()).length === 2);
      client.abort();
    }
    const { state, how: found } = await asked;
    assert.equal(state, 'unknown');
    assert.match(found, new RegExp(how));
    assert.deepEqual(await running(), []);
  });
}
