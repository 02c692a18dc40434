/** Estimates of a wait, on a clock that the test sets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RunTimes, retryAfterSeconds } from '../../src/admission/estimates.ts';

function runTimes() {
  let now = 0;
  const times = new RunTimes(() => now);
  const pass = (ms: number) => {
    now += ms;
  };
  return { times, pass };
}

test('nothing is estimated before a run has lasted any time', () => {
  const { times } = runTimes();
  assert.equal(times.waitFor(1), undefined);
  times.start('chat');
  assert.equal(times.waitFor(1), undefined);
});

test('two slots that are each released every 8 s make one free slot every 4 s', () => {
  const { times, pass } = runTimes();
  const end = times.start('chat');
  pass(8000);
  end();
  times.start('chat');
  times.start('chat');
  assert.equal(times.waitFor(1), 4000);
  assert.equal(times.waitFor(3), 12_000);
});

test('the average follows the newest run by a fifth, and a second end of a run changes nothing', () => {
  const { times, pass } = runTimes();
  const first = times.start('job');
  pass(1000);
  first();
  const second = times.start('job');
  pass(2000);
  second();
  pass(5000);
  second();
  times.start('job');
  assert.equal(times.waitFor(1), 1200);
});

test('jobs and chat have averages of their own', () => {
  const { times, pass } = runTimes();
  const job = times.start('job');
  pass(60_000);
  job();
  const chat = times.start('chat');
  pass(1000);
  chat();
  times.start('chat');
  assert.equal(times.waitFor(1), 1000);
});

test('a run that takes longer than the average counts with its own time', () => {
  const { times, pass } = runTimes();
  const end = times.start('chat');
  pass(1000);
  end();
  times.start('chat');
  pass(5000);
  assert.equal(times.waitFor(1), 5000);
});

for (const [waitMs, seconds] of [
  [undefined, 5],
  [0, 1],
  [1000, 1],
  [1001, 2],
  [60_000, 60],
  [3_600_000, 60],
] as const) {
  test(`an expected wait of ${waitMs} ms gives Retry-After: ${seconds}`, () => {
    assert.equal(retryAfterSeconds(waitMs), seconds);
  });
}
