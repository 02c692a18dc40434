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
  const fail = () => hold.failed(error, 'job', 1);
  fail();
  for (let failures = 0; failures < 25; failures += 1) {
    (await hold.permit(signal)).ended();
    if (failures < 16) fail();
  }
  hold.began();
  fail();
  assert.ok(await settlesSoon(hold.permit(signal)));
});

test('one attempt at a time decides, until it ends', async () => {
  const { hold, told } = makeHold();
  hold.failed(error, 'job', 1);
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
  hold.failed(error, 'job', 1);
  const client = new AbortController();
  const deferred = hold.defer(client.signal);
  assert.equal(await settlesSoon(deferred), false);
  client.abort();
  await deferred;
});

test('the announced end of a usage limit is waited for', () => {
  const { hold } = makeHold();
  const limit = new ServiceError('usage_limit', 'limit', { resetsAt: Date.now() + 60_000 });
  assert.ok(hold.failed(limit, 'job', 1) > 50_000);
});

test('a job waits longer after each of its attempts', () => {
  const { hold } = makeHold();
  const waits = [1, 2, 3, 10, 1000].map((attempts) => hold.failed(error, 'job', attempts));
  assert.deepEqual(waits.slice(0, 3), [0.001, 0.002, 0.004]);
  assert.equal(waits.at(-1), 1e9);
});

test('one job that fails for a cause of the model holds nothing back, but two in a row do', () => {
  const { hold, told } = makeHold();
  const refused = new ServiceError('not_signed_in', 'refused');
  hold.failed(refused, 'one', 1);
  hold.failed(refused, 'one', 2);
  assert.equal(hold.cause, undefined);
  hold.began();
  hold.failed(refused, 'two', 1);
  assert.equal(hold.cause, undefined, 'another job has begun to work in between');
  hold.failed(refused, 'one', 3);
  assert.deepEqual(told, ['not_signed_in']);
});
