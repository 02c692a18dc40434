/** Agents that are started ahead, on the real CLI: for whom they are there, and when another takes their place. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chat, startSeats } from '../support/pool.ts';
import { waitUntil } from '../support/wait-until.ts';

describe('a spare', () => {
  test('is there for the first request and the next one, for every model', async (t) => {
    const { run, lastRequest } = await startSeats(t, { spares: { count: 1 }, resting: { count: 0 } });
    assert.equal((await run(chat(['one [[say: a]]'], { model: 'haiku', system: 'SYS' }))).start, 'warm');
    assert.match(lastRequest(), /"model":"claude-haiku/);
    assert.match(lastRequest(), /SYS/);
    assert.equal((await run(chat(['two [[say: a]]'], { model: 'opus' }))).start, 'warm');
    assert.match(lastRequest(), /"model":"claude-opus/);
  });

  test('of another agent or budget is not used, and the next one is started for what was asked', async (t) => {
    const { run } = await startSeats(t, { spares: { count: 1 }, resting: { count: 0 } });
    const limits = { runMs: 20_000, stallMs: 0, budgetUsd: 5 };
    assert.equal((await run(chat(['one [[say: a]]'], { limits, kind: 'job' }))).start, 'cold');
    assert.equal((await run(chat(['two [[say: a]]'], { limits, kind: 'job' }))).start, 'warm');
  });

  test('of a command that was replaced is not used', async (t) => {
    const { run, replaceClaude } = await startSeats(t, { spares: { count: 1 }, resting: { count: 0 } });
    await run(chat(['one [[say: a]]']));
    replaceClaude('/nowhere/claude');
    await assert.rejects(run(chat(['two'])), { code: 'agent_not_started' });
  });

  test('that cannot be started is told of, and a run then shows the cause', async (t) => {
    const { run, replaceClaude, failures } = await startSeats(t, { resting: { count: 0 }, spares: { count: 1 } });
    replaceClaude('/bin/false');
    await run(chat(['one [[say: a]]'])).catch(() => {});
    await assert.rejects(run(chat(['two'])), { code: 'agent_failed' });
    assert.ok(failures.length <= 5, 'it does not go on trying without end');
  });

  test('that dies while it waits is replaced, and told of', async (t) => {
    const { run, processes, failures } = await startSeats(t, { spares: { count: 1 }, resting: { count: 0 } });
    const [first = 0] = await waitUntil('a spare waits', async () => {
      const found = await processes();
      return found.length > 0 && found;
    });
    process.kill(first, 'SIGKILL');
    await waitUntil('another waits', async () => {
      const found = await processes();
      return found.length > 0 && !found.includes(first);
    });
    assert.equal(failures.length, 1);
    assert.equal((await run(chat(['one [[say: a]]']))).start, 'warm');
  });

  test('is not kept when nobody asks for long, and is there again after somebody did', async (t) => {
    const { run, processes } = await startSeats(t, { spares: { count: 1, idleMs: 500 }, resting: { count: 0 } });
    await waitUntil('a spare waits', async () => (await processes()).length > 0);
    await waitUntil('none is left', async () => (await processes()).length === 0);
    assert.equal((await run(chat(['one [[say: a]]']))).start, 'cold');
  });

  test('that is too old is replaced', async (t) => {
    const { processes } = await startSeats(t, { spares: { count: 1, maxAgeMs: 300 }, resting: { count: 0 } });
    const [first = 0] = await waitUntil('a spare waits', async () => {
      const found = await processes();
      return found.length > 0 && found;
    });
    await waitUntil('a younger one waits', async () => {
      const found = await processes();
      return found.length > 0 && !found.includes(first);
    });
  });
});
