/** Events of a run on their way into a store: in batches, in order, and through its outages. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogWriter } from '../../src/runs/log-writer.ts';
import type { NewEvent } from '../../src/store/stored-run.ts';
import { waitUntil } from '../support/wait-until.ts';

const bounds = { maxEvents: 100, maxBytes: 10_000 };
const text = (value: string) => ({ type: 'text', text: value }) as const;

test('text that comes close together is one event, in order with what is between', async () => {
  const written: NewEvent[] = [];
  const log = new LogWriter(
    async (_, events) => written.push(...events) > 0,
    2,
    bounds,
    () => {},
  );
  for (const word of ['a', 'b', 'c']) log.append(text(word));
  log.append({ type: 'tool_call', id: 't', name: 'Bash', input: {} });
  log.append(text('d'));
  log.append({ type: 'thinking', text: 'e' });
  log.append({ type: 'thinking', text: 'f' });
  await log.close();
  assert.deepEqual(
    written.map(({ body }) => body),
    [text('abc'), { type: 'tool_call', id: 't', name: 'Bash', input: {} }, text('d'), { type: 'thinking', text: 'ef' }],
  );
});

test('while the store is away the same batch is tried again, and what comes meanwhile follows', async () => {
  const tries: [number, number][] = [];
  const written: string[] = [];
  const append = async (lastSeq: number, events: NewEvent[]) => {
    tries.push([lastSeq, events.length]);
    if (tries.length < 3) throw new Error('The connection was reset');
    written.push(...events.map(({ body }) => (body.type === 'text' ? body.text : body.type)));
    return true;
  };
  const log = new LogWriter(append, 7, bounds, () => {});
  log.append(text('a'));
  await waitUntil('it was tried', () => tries.length > 0);
  log.append(text('b'));
  await log.close();
  assert.deepEqual(tries, [
    [7, 1],
    [7, 1],
    [7, 1],
    [8, 1],
  ]);
  assert.deepEqual(written, ['a', 'b']);
});

test('the bound on bytes is told once, and nothing follows it', async () => {
  const written: NewEvent[] = [];
  const log = new LogWriter(
    async (_, events) => written.push(...events) > 0,
    2,
    { ...bounds, maxBytes: 500 },
    () => {},
  );
  for (let at = 0; at < 100; at += 1) log.append(text('x'.repeat(20)));
  await log.close();
  const last = written.at(-1)?.body;
  assert.deepEqual(last, { type: 'events_full', limit: 500, unit: 'bytes' });
  assert.ok(JSON.stringify(written).length < 1000);
});

test('a run that is no longer the job’s is told so once, and writes no more', async () => {
  let lost = 0;
  let tries = 0;
  const refuse = async () => {
    tries += 1;
    return false;
  };
  const log = new LogWriter(refuse, 2, bounds, () => {
    lost += 1;
  });
  log.append(text('a'));
  await waitUntil('it was told', () => lost > 0);
  log.append(text('b'));
  await log.close();
  assert.deepEqual([lost, tries], [1, 1]);
});
