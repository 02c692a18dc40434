/** Prewarmed agents of the real CLI: which runs they serve, and when they are replaced. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chat, startPool } from '../support/pool.ts';
import { waitUntil } from '../support/wait-until.ts';

describe('a prewarmed agent', () => {
  test('serves the first request and the next one, for every model', async (t) => {
    const { run, lastRequest } = await startPool(t, { prewarmed: { count: 1 }, idle: { count: 0 } });
    assert.equal((await run(chat(['one [[say: a]]'], { model: 'haiku', system: 'SYS' }))).start, 'prewarmed');
    assert.match(lastRequest(), /"model":"claude-haiku/);
    assert.match(lastRequest(), /SYS/);
    assert.equal((await run(chat(['two [[say: a]]'], { model: 'opus' }))).start, 'prewarmed');
    assert.match(lastRequest(), /"model":"claude-opus/);
  });

  test('with another agent definition or budget is not used, and the next one is started with those of the task', async (t) => {
    const { run } = await startPool(t, { prewarmed: { count: 1 }, idle: { count: 0 } });
    const limits = { runMs: 20_000, stallMs: 0, budgetUsd: 5 };
    assert.equal((await run(chat(['one [[say: a]]'], { limits, reuse: 'prewarmed' }))).start, 'new');
    assert.equal((await run(chat(['two [[say: a]]'], { limits, reuse: 'prewarmed' }))).start, 'prewarmed');
  });

  test('of a command that was replaced is not used', async (t) => {
    const { run, replaceClaude } = await startPool(t, { prewarmed: { count: 1 }, idle: { count: 0 } });
    await run(chat(['one [[say: a]]']));
    replaceClaude('/nowhere/claude');
    await assert.rejects(run(chat(['two'])), { code: 'agent_not_started' });
  });

  test('that cannot be started is reported, and a run then shows the cause', async (t) => {
    const { run, replaceClaude, failures } = await startPool(t, { idle: { count: 0 }, prewarmed: { count: 1 } });
    replaceClaude('/bin/false');
    await run(chat(['one [[say: a]]'])).catch(() => {});
    await assert.rejects(run(chat(['two'])), { code: 'agent_failed' });
    assert.ok(failures.length <= 5, 'the starts are not repeated without a pause');
  });

  test('that dies before it is used is replaced and reported', async (t) => {
    const { run, processes, failures } = await startPool(t, { prewarmed: { count: 1 }, idle: { count: 0 } });
    const [first = 0] = await waitUntil('one is prewarmed', async () => {
      const found = await processes();
      return found.length > 0 && found;
    });
    process.kill(first, 'SIGKILL');
    await waitUntil('another is prewarmed', async () => {
      const found = await processes();
      return found.length > 0 && !found.includes(first);
    });
    assert.equal(failures.length, 1);
    assert.equal((await run(chat(['one [[say: a]]']))).start, 'prewarmed');
  });

  test('is not kept when no request comes for long', async (t) => {
    const { run, processes } = await startPool(t, { prewarmed: { count: 1, unusedMs: 500 }, idle: { count: 0 } });
    await waitUntil('one is prewarmed', async () => (await processes()).length > 0);
    await waitUntil('none is left', async () => (await processes()).length === 0);
    assert.equal((await run(chat(['one [[say: a]]']))).start, 'new');
  });

  test('that is too old is replaced', async (t) => {
    const { processes } = await startPool(t, { prewarmed: { count: 1, maxAgeMs: 300 }, idle: { count: 0 } });
    const [first = 0] = await waitUntil('one is prewarmed', async () => {
      const found = await processes();
      return found.length > 0 && found;
    });
    await waitUntil('a younger one is prewarmed', async () => {
      const found = await processes();
      return found.length > 0 && !found.includes(first);
    });
  });
});
