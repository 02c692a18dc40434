/** No key fills the queue, and tasks that do not wait get a share of the slots while others wait. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createSlots, type Slots, type SlotsOptions } from '../../src/admission/slots.ts';
import { ServiceError } from '../../src/errors.ts';
import type { Release } from '../../src/releases.ts';
import { waitUntil } from '../support/wait-until.ts';

const never = new AbortController().signal;
const refuse = { signal: never, whenBusy: 'refuse' } as const;
const queue = { signal: never, whenBusy: 'queue' } as const;
const hour = 3_600_000;

function create(options: Partial<SlotsOptions> = {}): Slots {
  return createSlots({ capacity: 1, maxQueued: 32, waitMs: hour, ...options });
}

const chat = (owner: string) => ({ kind: 'chat', owner }) as const;

describe('in a full queue', () => {
  /** Waits with `count` tasks of the owner. Returns what each came to, in order. */
  function waitWith(slots: Slots, owner: string, count: number) {
    const outcomes: (ServiceError | 'granted' | undefined)[] = [];
    const all = Array.from({ length: count }, (_, at) =>
      slots.acquire(chat(owner), queue).then(
        async (release) => {
          outcomes[at] = 'granted';
          await release();
        },
        (error: ServiceError) => {
          outcomes[at] = error;
        },
      ),
    );
    return { outcomes, all: Promise.all(all) };
  }

  test('a key with fewer waiting tasks takes the place of the newest task of the key with the most', async () => {
    const slots = create({ maxQueued: 4 });
    const blocker = await slots.acquire(chat('a'), queue);
    const greedy = waitWith(slots, 'a', 4);
    const small = waitWith(slots, 'b', 1);
    await waitUntil('one is displaced', () => greedy.outcomes[3] !== undefined);
    const displaced = greedy.outcomes[3] as ServiceError;
    assert.equal(displaced.code, 'queue_full');
    assert.match(displaced.message, /4 requests of this key waited, and another key needed one of the 4 places/);
    assert.equal(slots.counters().queued, 4);
    // Two keys with two each: a third has room, but neither of the two gets more.
    const second = waitWith(slots, 'b', 1);
    await waitUntil('another is displaced', () => greedy.outcomes[2] !== undefined);
    for (const owner of ['a', 'b']) {
      await assert.rejects(slots.acquire(chat(owner), queue), { code: 'queue_full' });
    }
    const third = waitWith(slots, 'c', 1);
    await blocker();
    await Promise.all([greedy.all, small.all, second.all, third.all]);
    assert.equal(third.outcomes[0], 'granted');
    assert.deepEqual(slots.counters(), { active: 0, queued: 0, capacity: 1 });
  });
});

describe('while others wait, a task that does not wait', () => {
  /** Keeps the queue full: each waiting task ends as soon as it has started, and another one waits in its place. */
  function keepFull(slots: Slots, depth: number) {
    let stopped = false;
    let served = 0;
    const lane = async () => {
      while (!stopped) {
        const release = await slots.acquire(chat('queued'), queue).catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, 1));
        served += release ? 1 : 0;
        await release?.();
      }
    };
    const lanes = Array.from({ length: depth }, lane);
    return {
      served: () => served,
      async stop() {
        stopped = true;
        await Promise.all(lanes);
      },
    };
  }

  async function tryOnce(slots: Slots): Promise<Release | undefined> {
    return slots.acquire(chat('v1'), refuse).catch((error: unknown) => {
      assert.ok(error instanceof ServiceError && error.code === 'agent_busy');
      return undefined;
    });
  }

  test('gets slots, and the others still get most of them', async () => {
    const slots = create({ capacity: 2, maxQueued: 8, unqueuedShare: 0.25, holdMs: hour });
    const others = keepFull(slots, 10);
    let got = 0;
    await waitUntil('it got slots', async () => {
      const release = await tryOnce(slots);
      if (release) got += 1;
      await release?.();
      return got >= 10;
    });
    await others.stop();
    slots.close();
    assert.ok(others.served() >= 2 * got, `${others.served()} others, ${got} without waiting`);
  });

  test('gets none without a share', async () => {
    const slots = create({ capacity: 1, maxQueued: 8, unqueuedShare: 0 });
    const others = keepFull(slots, 4);
    await waitUntil('others were served', async () => {
      assert.equal(await tryOnce(slots), undefined);
      return others.served() >= 20;
    });
    await others.stop();
  });

  test('holds back nobody if it does not come again', async () => {
    const slots = create({ unqueuedShare: 0.5, holdMs: 5 });
    const blocker = await slots.acquire(chat('a'), queue);
    assert.equal(await tryOnce(slots), undefined);
    const waiting = slots.acquire(chat('b'), queue);
    await blocker();
    assert.equal(slots.hasFree('chat', 'refuse'), true);
    assert.equal(slots.hasFree('chat', 'queue'), false);
    await (await waiting)();
    assert.deepEqual(slots.counters(), { active: 0, queued: 0, capacity: 1 });
  });

  test('takes the held slot at once, and only one of two does', async () => {
    const slots = create({ unqueuedShare: 0.5, holdMs: hour });
    const blocker = await slots.acquire(chat('a'), queue);
    assert.equal(await tryOnce(slots), undefined);
    const waiting = slots.acquire(chat('b'), queue);
    await blocker();
    const [first, second] = await Promise.all([tryOnce(slots), tryOnce(slots)]);
    assert.ok(first && !second);
    await first();
    await (await waiting)();
    slots.close();
    await slots.idle();
  });

  test('is not waited for after a refusal of long ago, or when nobody waits', async () => {
    let now = 0;
    const slots = create({ unqueuedShare: 0.5, holdMs: hour, now: () => now });
    const blocker = await slots.acquire(chat('a'), queue);
    assert.equal(await tryOnce(slots), undefined);
    now += 61_000;
    const waiting = slots.acquire(chat('b'), queue);
    await blocker();
    const release = await waiting;
    assert.equal(await tryOnce(slots), undefined);
    await release();
    assert.equal(slots.hasFree('chat', 'queue'), true);
  });
});
