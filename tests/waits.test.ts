/** The waits that the server's parts share. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoff, pause, settledWithin } from '../src/waits.ts';

test('each wait of a backoff is twice the one before, up to the longest', () => {
  const waits = backoff({ firstMs: 50, longestMs: 300 });
  assert.deepEqual(
    Array.from({ length: 5 }, () => waits.next()),
    [50, 100, 200, 300, 300],
  );
});

test('a reset makes the next wait the first one again', () => {
  const waits = backoff({ firstMs: 50, longestMs: 300 });
  waits.next();
  waits.next();
  waits.reset();
  assert.equal(waits.next(), 50);
});

test('no wait is longer than the longest, not even the first', () => {
  assert.equal(backoff({ firstMs: 500, longestMs: 300 }).next(), 300);
});

test('a wait ends without an error when its signal aborts, also when that was before', async () => {
  const abort = new AbortController();
  const waiting = [pause(2 ** 30, abort.signal), backoff({ firstMs: 2 ** 30, longestMs: 2 ** 30 }).wait(abort.signal)];
  abort.abort();
  await Promise.all([...waiting, pause(2 ** 30, abort.signal)]);
});

test('a promise is waited for within the limit only, and its error is passed on', async () => {
  await settledWithin(new Promise(() => {}), 5);
  await settledWithin(Promise.resolve(), 2 ** 30);
  await settledWithin(new Promise(() => {}), 2 ** 30, AbortSignal.abort());
  await assert.rejects(settledWithin(Promise.reject(new Error('failed')), 2 ** 30), /failed/);
});
