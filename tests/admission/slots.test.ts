/** Who runs and who waits: shares, turns, bounds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { type Candidate, createSlots, type Slots, type SlotsOptions } from '../../src/admission/slots.ts';
import { ServiceError } from '../../src/errors.ts';
import type { Release } from '../../src/releases.ts';

const never = new AbortController().signal;
let names = 0;

function create(options: Partial<SlotsOptions> = {}): Slots {
  return createSlots({ capacity: 1, maxQueued: 32, waitMs: 60_000, ...options });
}

function candidate(owner = 'a', kind: Candidate['kind'] = 'chat'): Candidate {
  names += 1;
  return { id: `t${names}`, kind, owner };
}

/** Asks for a place for each and tells in what order they get one; each gives it back at once. */
async function orderOf(places: Slots, asked: [label: string, Candidate][], blocker: Release): Promise<string[]> {
  const order: string[] = [];
  const all = asked.map(async ([label, task]) => {
    const release = await places.admit(task, { signal: never, whenBusy: 'queue' });
    order.push(label);
    await release();
  });
  await blocker();
  await Promise.all(all);
  return order;
}

const refusal = (code: string, message?: RegExp) => (error: unknown) => {
  assert.ok(error instanceof ServiceError);
  assert.equal(error.code, code);
  if (message) assert.match(error.message, message);
  return true;
};

test('a taken place is refused at once to who will not wait', async () => {
  const places = create();
  const release = await places.admit(candidate(), { signal: never, whenBusy: 'refuse' });
  await assert.rejects(places.admit(candidate(), { signal: never, whenBusy: 'refuse' }), (error) => {
    refusal('agent_busy', /^agent is busy$/)(error);
    const seconds = (error as ServiceError).extra.retryAfterSeconds ?? 0;
    return seconds >= 1 && seconds <= 60;
  });
  await release();
  await release();
  assert.deepEqual(places.counters(), { active: 0, queued: 0, capacity: 1 });
});

test('no more run at once than there are places, and all get their turn', async () => {
  const places = create({ capacity: 3 });
  let most = 0;
  let running = 0;
  await Promise.all(
    Array.from({ length: 30 }, async () => {
      const release = await places.admit(candidate(), { signal: never, whenBusy: 'queue' });
      running += 1;
      most = Math.max(most, running);
      await turnOfTheLoop();
      running -= 1;
      await release();
    }),
  );
  assert.equal(most, 3);
  assert.deepEqual(places.counters(), { active: 0, queued: 0, capacity: 3 });
});

test('a full queue names its bound', async () => {
  const places = create({ maxQueued: 2 });
  const release = await places.admit(candidate(), { signal: never, whenBusy: 'queue' });
  const waiting = [1, 2].map(() => places.admit(candidate(), { signal: never, whenBusy: 'queue' }));
  assert.equal(places.counters().queued, 2);
  await assert.rejects(
    places.admit(candidate(), { signal: never, whenBusy: 'queue' }),
    refusal('queue_full', /^Cannot queue the run: 2 of 2 places taken$/),
  );
  await release();
  for (const place of waiting) await (await place)();
});

test('a wait ends after its limit', async () => {
  const places = create({ waitMs: 10 });
  const release = await places.admit(candidate(), { signal: never, whenBusy: 'queue' });
  await assert.rejects(
    places.admit(candidate(), { signal: never, whenBusy: 'queue' }),
    refusal('wait_timeout', /^Cannot start the run: 1 of 1 places were taken for 0.01 s$/),
  );
  assert.equal(places.counters().queued, 0);
  await release();
});

test('who gives up leaves the queue with the reason of its signal', async () => {
  const places = create();
  const release = await places.admit(candidate(), { signal: never, whenBusy: 'queue' });
  const gone = new AbortController();
  const waiting = places.admit(candidate(), { signal: gone.signal, whenBusy: 'queue' });
  const reason = new ServiceError('client_gone', 'Cannot answer: the client is gone');
  gone.abort(reason);
  await assert.rejects(waiting, (error) => error === reason);
  await assert.rejects(places.admit(candidate(), { signal: gone.signal, whenBusy: 'queue' }), (e) => e === reason);
  assert.equal(places.counters().queued, 0);
  await release();
  assert.equal(places.counters().active, 0);
});

test('owners take turns, so a flood by one does not delay another', async () => {
  const places = create();
  const blocker = await places.admit(candidate(), { signal: never, whenBusy: 'queue' });
  const order = await orderOf(
    places,
    [
      ['a1', candidate('a')],
      ['a2', candidate('a')],
      ['a3', candidate('a')],
      ['b1', candidate('b')],
      ['c1', candidate('c')],
      ['b2', candidate('b')],
    ],
    blocker,
  );
  assert.deepEqual(order, ['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
});

test('a waiter is told its position in the order it will be served', async () => {
  const places = create();
  const blocker = await places.admit(candidate(), { signal: never, whenBusy: 'queue' });
  const asked: [string, Candidate][] = ['a', 'a', 'b', 'a', 'c', 'b'].map((owner, at) => [`${at}`, candidate(owner)]);
  const served = orderOf(places, asked, async () => {});
  const positions = asked.map(([, task]) => places.waiting(task.id)?.position ?? 0);
  await blocker();
  const order = (await served).map(Number);
  assert.deepEqual(
    positions,
    asked.map((_, at) => order.indexOf(at) + 1),
  );
  assert.equal(places.waiting('unknown'), undefined);
});

test('the expected wait follows from how long runs took', async () => {
  let now = 0;
  const places = create({ capacity: 2, now: () => now });
  const hold = () => places.admit(candidate(), { signal: never, whenBusy: 'queue' });
  const first = await hold();
  now += 8000;
  await first();
  const held = [await hold(), await hold()];
  const task = candidate();
  const waiting = places.admit(task, { signal: never, whenBusy: 'queue' });
  // Two places that each come free every 8 s give one every 4 s.
  assert.deepEqual(places.waiting(task.id), { position: 1, expectedWaitMs: 4000 });
  await assert.rejects(
    places.admit(candidate(), { signal: never, whenBusy: 'refuse' }),
    (error) => error instanceof ServiceError && error.extra.retryAfterSeconds === 4,
  );
  for (const release of held) await release();
  await (await waiting)();
});

test('chat and jobs share the places while both wait', async () => {
  const places = create({ capacity: 4, maxQueued: 100, jobShare: 0.25 });
  const blockers = await Promise.all(
    [1, 2, 3, 4].map(() => places.admit(candidate(), { signal: never, whenBusy: 'queue' })),
  );
  const running: Candidate['kind'][] = [];
  for (let at = 0; at < 8; at += 1) {
    for (const kind of ['job', 'chat'] as const) {
      void places.admit(candidate('x', kind), { signal: never, whenBusy: 'wait' }).then(() => running.push(kind));
    }
  }
  for (const release of blockers) await release();
  await turnOfTheLoop();
  assert.deepEqual(running.sort(), ['chat', 'chat', 'chat', 'job']);
});

test('what one kind leaves free the other uses, but for the places kept for chat', async () => {
  const places = create({ capacity: 3, chatReserved: 1 });
  const wait = { signal: never, whenBusy: 'wait' } as const;
  const jobs = [await places.admit(candidate('x', 'job'), wait), await places.admit(candidate('x', 'job'), wait)];
  await assert.rejects(
    places.admit(candidate('x', 'job'), { signal: never, whenBusy: 'refuse' }),
    refusal('agent_busy'),
  );
  const chat = await places.admit(candidate('x', 'chat'), { signal: never, whenBusy: 'refuse' });
  for (const release of [...jobs, chat]) await release();
  const chats = await Promise.all([1, 2, 3].map(() => places.admit(candidate('x', 'chat'), wait)));
  for (const release of chats) await release();
});

test('a closing server refuses all who have no place, and tells when the last place is back', async () => {
  const places = create();
  const release = await places.admit(candidate(), { signal: never, whenBusy: 'queue' });
  const waiting = places.admit(candidate(), { signal: never, whenBusy: 'queue' });
  places.close();
  await assert.rejects(waiting, refusal('shutting_down'));
  await assert.rejects(places.admit(candidate(), { signal: never, whenBusy: 'queue' }), refusal('shutting_down'));
  let idle = false;
  const settled = places.idle().then(() => {
    idle = true;
  });
  await turnOfTheLoop();
  assert.equal(idle, false);
  await release();
  await settled;
});
