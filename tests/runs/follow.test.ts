/** Readers of a run's event log: each event once and in order, from anywhere, live and afterwards. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextStep } from 'node:timers/promises';
import { ServiceError } from '../../src/errors.ts';
import { follow } from '../../src/runs/follow.ts';
import { MemoryLog } from '../../src/runs/memory-log.ts';
import { Run } from '../../src/runs/run.ts';
import type { Outcome, RunEvent } from '../../src/task.ts';

const never = new AbortController().signal;
const text = (value: string): RunEvent => ({ type: 'text', text: value });
const outcome: Outcome = { text: 'done', models: {}, turns: 1, durationMs: 1, stopReason: 'end_turn' };

function logOf(...types: RunEvent['type'][]): MemoryLog {
  const kept = types.length > 0 ? types : (['text', 'tool_call', 'tool_result'] as const);
  return new MemoryLog(new Map(kept.map((type) => [type, 'whole'])));
}

async function readAll(log: MemoryLog, after = 0, signal = never): Promise<string[]> {
  const seen: string[] = [];
  for await (const event of follow(log, after, signal)) seen.push(event.type === 'text' ? event.text : event.type);
  return seen;
}

describe('a reader', () => {
  test('gets past events first, then each new one, and ends with the run', async () => {
    const log = logOf();
    log.append(text('a'));
    const early = readAll(log);
    await nextStep();
    log.append(text('b'));
    const late = readAll(log);
    await nextStep();
    log.append(text('c'));
    log.close();
    assert.deepEqual([await early, await late, await readAll(log)], Array(3).fill(['a', 'b', 'c']));
    assert.deepEqual([await readAll(log, 2), await readAll(log, 3), await readAll(log, 99)], [['c'], [], []]);
  });

  test('misses nothing that comes while it is busy with an event', async () => {
    const log = logOf();
    log.append(text('a'));
    const seen: string[] = [];
    for await (const event of follow(log, 0, never)) {
      if (event.type !== 'text') continue;
      seen.push(event.text);
      if (event.text === 'a') {
        log.append(text('b'));
        await nextStep();
        log.append(text('c'));
        log.close();
      }
    }
    assert.deepEqual(seen, ['a', 'b', 'c']);
  });

  test('ends when its signal aborts, while it waits and between two events', async () => {
    const log = logOf();
    const waiting = new AbortController();
    const read = readAll(log, 0, waiting.signal);
    await nextStep();
    waiting.abort();
    assert.deepEqual(await read, []);
    for (const value of ['a', 'b', 'c']) log.append(text(value));
    const leaving = new AbortController();
    let count = 0;
    for await (const _ of follow(log, 0, leaving.signal)) {
      count += 1;
      leaving.abort();
    }
    assert.equal(count, 1);
  });

  test('that is far behind gets texts joined, in order with what is between', async () => {
    const log = logOf();
    for (let at = 0; at < 2000; at += 1) log.append(text('x'));
    log.append({ type: 'tool_call', id: 't', name: 'Read', input: {} });
    for (let at = 0; at < 200; at += 1) log.append(text('y'.repeat(1000)));
    log.close();
    const seen = await readAll(log);
    assert.deepEqual([seen[0], seen[1]], ['x'.repeat(2000), 'tool_call']);
    assert.equal(seen.join('').length, 2000 + 'tool_call'.length + 200_000);
    assert.ok(seen.length < 220 && seen.every((each) => each.length <= 16_384));
  });
});

describe('the log in memory', () => {
  test('keeps only the types that a reader will ask for', async () => {
    const log = logOf('tool_call');
    log.append(text('a'));
    log.append({ type: 'tool_call', id: 't', name: 'Read', input: {} });
    log.close();
    assert.deepEqual(await readAll(log), ['tool_call']);
  });

  test('refuses more text than its limit', () => {
    const log = logOf();
    const million = 'x'.repeat(1_000_000);
    for (let at = 0; at < 4; at += 1) log.append(text(million));
    assert.throws(() => log.append(text(million)), { code: 'output_too_large' });
  });

  test('keeps every tool event, without its content beyond the limit, and says so', async () => {
    const log = logOf();
    const result = (at: number): RunEvent => ({
      type: 'tool_result',
      id: `${at}`,
      isError: false,
      text: 'x'.repeat(9999),
    });
    for (let at = 0; at < 9000; at += 1) log.append(result(at));
    log.append({ type: 'tool_call', id: 'last', name: 'Bash', input: { command: 'rm -rf build' } });
    log.close();
    const kept: RunEvent[] = [];
    for await (const event of follow(log, 0, never)) kept.push(event);
    assert.equal(kept.length, 9001);
    const texts = kept.map((event) => (event.type === 'tool_result' ? event.text : ''));
    assert.ok(texts[0]?.endsWith('… (8999 more characters)'), texts[0]?.slice(-40));
    const omitted = texts.filter((text) => text === '… (left out)').length;
    assert.ok(omitted > 4000 && omitted < 6000, `${omitted} have no content`);
    assert.deepEqual(kept.at(-1), { type: 'tool_call', id: 'last', name: 'Bash', input: '… (left out)' });
    assert.ok(log.size <= 8 * 1024 * 1024, `${log.size}`);
  });

  test('ends the agent when even events without content exceed twice the limit', () => {
    const log = logOf();
    const call: RunEvent = { type: 'tool_call', id: 't', name: 'n'.repeat(1_000_000), input: {} };
    for (let at = 0; at < 8; at += 1) log.append(call);
    assert.throws(() => log.append(call), { code: 'output_too_large' });
  });

  test('holds little of the tool calls that its readers need only as a fact', async () => {
    const log = new MemoryLog(new Map([['tool_call', 'brief']]));
    const input = Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`field ${at}`, 'x'.repeat(2000)]));
    for (let at = 0; at < 170; at += 1) log.append({ type: 'tool_call', id: `${at}`, name: 'Read', input });
    log.close();
    assert.equal((await readAll(log)).length, 170);
    assert.ok(log.size < 170 * 100, `${log.size}`);
  });

  test('keeps its events, with texts joined, when it is compacted', async () => {
    const log = logOf();
    for (const value of ['a', 'b']) log.append(text(value));
    log.append({ type: 'tool_call', id: 't', name: 'Read', input: {} });
    for (const value of ['c', 'd']) log.append(text(value));
    log.close();
    log.compact();
    assert.deepEqual(await readAll(log), ['ab', 'tool_call', 'cd']);
  });
});

describe('a run', () => {
  test('ends with its outcome, or with the error of its work', async () => {
    const good = new Run('r', logOf(), async () => outcome);
    assert.deepEqual(await good.ended, { state: 'succeeded', outcome });
    const error = new ServiceError('agent_failed', 'The agent failed: no');
    const bad = new Run('r', logOf(), () => Promise.reject(error));
    assert.deepEqual([await bad.ended, bad.working], [{ state: 'failed', error }, false]);
    const broken = new Run('r', logOf(), () => Promise.reject(new TypeError('x')));
    const end = await broken.ended;
    assert.equal(end.state === 'failed' && end.error.code, 'internal');
  });

  test('is ended for the first reason, which its work sees', async () => {
    const run = new Run('r', logOf(), async ({ signal }) => {
      while (!signal.aborted) await nextStep();
      throw signal.reason;
    });
    const first = new ServiceError('client_gone');
    run.stop(first);
    run.stop(new ServiceError('shutting_down'));
    assert.equal(run.stopping, first);
    assert.deepEqual(await run.ended, { state: 'failed', error: first });
    assert.equal(run.stopping, undefined);
  });

  test('has begun when the agent works, and knows the sync of its workspace', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const run = new Run('r', logOf('working'), async ({ emit }) => {
      emit({ type: 'workspace', sync: { state: 'unchanged' } });
      emit({ type: 'working', start: 'new' });
      await promise;
      return outcome;
    });
    await run.begun;
    assert.deepEqual([run.working, run.end, run.sync], [true, undefined, { state: 'unchanged' }]);
    resolve();
    assert.deepEqual([(await run.ended).state, await readAll(run.log)], ['succeeded', ['working']]);
  });

  test('is ended when its log takes no more', async () => {
    const run = new Run('r', logOf(), async ({ signal, emit }) => {
      while (!signal.aborted) emit(text('x'.repeat(1_000_000)));
      throw signal.reason;
    });
    const end = await run.ended;
    assert.equal(end.state === 'failed' && end.error.code, 'output_too_large');
  });
});
