/** Which task gets a slot, which waits, and which is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextLoopIteration } from 'node:timers/promises';
import { type Candidate, createSlots, type Slots, type SlotsOptions } from '../../src/admission/slots.ts';
import { ServiceError } from '../../src/errors.ts';
import type { Release } from '../../src/releases.ts';

const never = new AbortController().signal;
const refuse = { signal: never, whenBusy: 'refuse' } as const;
const queue = { signal: never, whenBusy: 'queue' } as const;
const wait = { signal: never, whenBusy: 'wait' } as const;

function create(options: Partial<SlotsOptions> = {}): Slots {
  return createSlots({ capacity: 1, maxQueued: 32, waitMs: 60_000, ...options });
}

function candidate(owner = 'a', kind: Candidate['kind'] = 'chat'): Candidate {
  return { kind, owner };
}

/** Acquires a slot for each task, frees the first one with `blocker`, and returns the order of service. */
async function orderOf(slots: Slots, tasks: [label: string, Candidate][], blocker: Release): Promise<string[]> {
  const order: string[] = [];
  const all = tasks.map(async ([label, task]) => {
    const release = await slots.acquire(task, queue);
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
  const seconds = error.extra.retryAfterSeconds ?? error.row.retryAfterSeconds ?? 0;
  assert.ok(seconds >= 1 && seconds <= 60);
  return true;
};

test('with `refuse` a task is refused at once when no slot is free', async () => {
  const slots = create();
  const release = await slots.acquire(candidate(), refuse);
  await assert.rejects(slots.acquire(candidate(), refuse), refusal('agent_busy', /^agent is busy$/));
  await release();
  assert.deepEqual(slots.counters(), { active: 0, queued: 0, capacity: 1 });
});

test('a second call of a release frees nothing', async () => {
  const slots = create({ capacity: 2 });
  const [first] = [await slots.acquire(candidate(), queue), await slots.acquire(candidate(), queue)];
  await first();
  await first();
  assert.equal(slots.counters().active, 1);
});

test('no more tasks run at once than there are slots, and every task runs', async () => {
  const slots = create({ capacity: 3 });
  let most = 0;
  let running = 0;
  let done = 0;
  await Promise.all(
    Array.from({ length: 30 }, async () => {
      const release = await slots.acquire(candidate(), queue);
      running += 1;
      most = Math.max(most, running);
      await nextLoopIteration();
      running -= 1;
      done += 1;
      await release();
    }),
  );
  assert.deepEqual([most, done], [3, 30]);
  assert.deepEqual(slots.counters(), { active: 0, queued: 0, capacity: 3 });
});

test('a full queue refuses with its state, its limit and its setting', async () => {
  const slots = create({ maxQueued: 2 });
  const release = await slots.acquire(candidate(), queue);
  const waiting = [1, 2].map(() => slots.acquire(candidate(), queue));
  assert.equal(slots.counters().queued, 2);
  await assert.rejects(
    slots.acquire(candidate(), queue),
    refusal('queue_full', /^Cannot queue the run: 2 of 2 waiting requests, the limit of MAX_QUEUED_RUNS$/),
  );
  await release();
  for (const slot of waiting) await (await slot)();
});

test('without a queue the refusal says that every slot is taken', async () => {
  const slots = create({ maxQueued: 0 });
  const release = await slots.acquire(candidate(), queue);
  await assert.rejects(
    slots.acquire(candidate(), queue),
    refusal('queue_full', /: every slot is taken \(1 of 1\), and with MAX_QUEUED_RUNS=0 no request may wait$/),
  );
  await release();
});

test('a task that waits with `wait` does not count in the bound of the queue', async () => {
  const slots = create({ maxQueued: 1 });
  const release = await slots.acquire(candidate(), queue);
  const unbounded = [1, 2, 3].map(() => slots.acquire(candidate(), wait));
  const bounded = slots.acquire(candidate(), queue);
  assert.equal(slots.counters().queued, 1);
  await release();
  for (const slot of [...unbounded, bounded]) await (await slot)();
});

test('a wait ends after its limit', async () => {
  const slots = create({ waitMs: 10 });
  const release = await slots.acquire(candidate(), queue);
  await assert.rejects(
    slots.acquire(candidate(), queue),
    refusal(
      'wait_timeout',
      /^Cannot start the run: every slot was taken for 0.01 s, the limit of QUEUE_TIMEOUT_SECONDS$/,
    ),
  );
  assert.equal(slots.counters().queued, 0);
  await release();
});

test('a task whose signal aborts leaves the queue with the reason of the signal', async () => {
  const slots = create();
  const release = await slots.acquire(candidate(), queue);
  const gone = new AbortController();
  const waiting = slots.acquire(candidate(), { signal: gone.signal, whenBusy: 'queue' });
  const reason = new ServiceError('client_gone', 'Cannot answer: the client is gone');
  gone.abort(reason);
  await assert.rejects(waiting, (error) => error === reason);
  await assert.rejects(slots.acquire(candidate(), { signal: gone.signal, whenBusy: 'queue' }), (e) => e === reason);
  assert.equal(slots.counters().queued, 0);
  await release();
  assert.equal(slots.counters().active, 0);
});

test('owners alternate, so many requests of one do not delay another', async () => {
  const slots = create();
  const blocker = await slots.acquire(candidate(), queue);
  const order = await orderOf(
    slots,
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

test('a refusal says when to retry, by how long runs took', async () => {
  let now = 0;
  const slots = create({ capacity: 2, now: () => now });
  const first = await slots.acquire(candidate(), queue);
  now += 8000;
  await first();
  const held = [await slots.acquire(candidate(), queue), await slots.acquire(candidate(), queue)];
  await assert.rejects(
    slots.acquire(candidate(), refuse),
    (error) => error instanceof ServiceError && error.extra.retryAfterSeconds === 4,
  );
  for (const release of held) await release();
});

test('chat and jobs share the slots while both wait', async () => {
  const slots = create({ capacity: 4, maxQueued: 100, jobShare: 0.25 });
  const blockers = await Promise.all([1, 2, 3, 4].map(() => slots.acquire(candidate(), queue)));
  const running: Candidate['kind'][] = [];
  for (let at = 0; at < 8; at += 1) {
    for (const kind of ['job', 'chat'] as const) {
      void slots.acquire(candidate('x', kind), wait).then(() => running.push(kind));
    }
  }
  for (const release of blockers) await release();
  await nextLoopIteration();
  assert.deepEqual(running.sort(), ['chat', 'chat', 'chat', 'job']);
});

test('chat and jobs use each other’s free slots, except those that are reserved for chat', async () => {
  const slots = create({ capacity: 3, chatReserved: 1 });
  const jobs = [await slots.acquire(candidate('x', 'job'), wait), await slots.acquire(candidate('x', 'job'), wait)];
  await assert.rejects(slots.acquire(candidate('x', 'job'), refuse), refusal('agent_busy'));
  const chat = await slots.acquire(candidate('x', 'chat'), refuse);
  for (const release of [...jobs, chat]) await release();
  const chats = await Promise.all([1, 2, 3].map(() => slots.acquire(candidate('x', 'chat'), wait)));
  for (const release of chats) await release();
});

test('after close every task without a slot is refused, and idle settles when the last slot is released', async () => {
  const slots = create();
  const release = await slots.acquire(candidate(), queue);
  const waiting = slots.acquire(candidate(), queue);
  slots.close();
  await assert.rejects(waiting, refusal('shutting_down'));
  await assert.rejects(slots.acquire(candidate(), queue), refusal('shutting_down'));
  let idle = false;
  const settled = slots.idle().then(() => {
    idle = true;
  });
  await nextLoopIteration();
  assert.equal(idle, false);
  await release();
  await settled;
});
