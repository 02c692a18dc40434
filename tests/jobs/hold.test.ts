/** When jobs are held back and when they are free again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServiceError } from '../../src/errors.ts';
import { Hold } from '../../src/jobs/hold.ts';

const error = new ServiceError('agent_not_started', 'Cannot start claude: it is missing');
const signal = new AbortController().signal;

function makeHold() {
  const told: string[] = [];
  const hold = new Hold({
    check: async () => undefined,
    onHeld: ({ code }) => told.push(code),
    onFreed: () => told.push('free'),
    // After 40 failures in a row, the next wait is longer than any test.
    retryMs: { firstMs: 0.001, longestMs: 1e9 },
  });
  return { hold, told };
}

/** Whether the promise settles without waiting for a timer of more than some milliseconds. */
async function settlesSoon(promise: Promise<unknown>): Promise<boolean> {
  const later = new Promise((resolve) => setTimeout(resolve, 100, 'later'));
  return (await Promise.race([promise, later])) !== 'later';
}

test('the waits grow with each failed attempt, and begin anew after an agent began to work', async () => {
  const { hold } = makeHold();
  hold.hold(error);
  for (let failures = 0; failures < 40; failures += 1) {
    if (failures < 10) await hold.permit(signal);
    else hold.began();
    hold.hold(error);
  }
  assert.ok(await settlesSoon(hold.permit(signal)));
});

test('one attempt at a time decides, until it ends', async () => {
  const { hold, told } = makeHold();
  hold.hold(error);
  const first = await hold.permit(signal);
  const second = hold.permit(signal);
  assert.equal(await settlesSoon(second), false);
  first.ended();
  (await second).unused();
  assert.equal(hold.cause, undefined);
  assert.deepEqual(told, ['agent_not_started', 'free']);
  first.unused();
  assert.deepEqual(told, ['agent_not_started', 'free'], 'a permit counts only while it is the latest');
});

test('a chat request of another machine waits a while, so that other workers can take it', async () => {
  const { hold } = makeHold();
  assert.ok(await settlesSoon(hold.defer(signal)));
  hold.hold(error);
  const client = new AbortController();
  const deferred = hold.defer(client.signal);
  assert.equal(await settlesSoon(deferred), false);
  client.abort();
  await deferred;
});

test('the announced end of a usage limit is waited for', async () => {
  const { hold } = makeHold();
  hold.hold(new ServiceError('agent_failed', 'limit', { resetsAt: Date.now() + 60_000 }));
  assert.equal(await settlesSoon(hold.permit(signal)), false);
});
