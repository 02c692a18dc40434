/** The clock of a machine is wrong or is stepped: no waiting job ends before its time, and none waits for ever. */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { StoreClock } from '../../src/store/store-clock.ts';
import { jobSpec, testEngines } from '../support/job-engines.ts';
import { describeStore, runThrough, submit } from './store-suite.ts';

const tenMinutes = 600_000;
const limits = (waitMs: number) => ({ ...jobSpec().limits, waitMs });

/** Steps the clock of this machine while `work` runs. Monotonic time goes on as before. */
async function stepped(ms: number, work: () => Promise<void>): Promise<void> {
  mock.timers.enable({ apis: ['Date'], now: Date.now() + ms });
  try {
    await work();
  } finally {
    mock.timers.reset();
  }
}

describeStore('The clock of the store', (onStore) => {
  for (const stepMs of [tenMinutes, -tenMinutes]) {
    const direction = stepMs > 0 ? 'forward' : 'back';

    onStore(`ends no waiting job early when the machine's clock is stepped ${direction}`, async (store) => {
      const job = await submit(store, { limits: limits(300_000) });
      await stepped(stepMs, async () => {
        assert.equal(await store.expireWaiting(), 0);
      });
      assert.equal((await store.get(job.id))?.state, 'queued');
    });

    onStore(`still ends a job at its limit when the machine's clock is stepped ${direction}`, async (store) => {
      await submit(store, { limits: limits(1) });
      await stepped(stepMs, async () => {
        await sleep(20);
        assert.equal(await store.expireWaiting(), 1);
      });
    });
  }

  onStore('removes no finished job early when the clock is stepped forward', async (store) => {
    const { id } = await runThrough(store);
    await stepped(100 * 3_600_000, async () => {
      await store.expireWaiting();
      assert.deepEqual(await store.removeOld({ ttlMs: 72 * 3_600_000, maxJobs: 10, maxBytes: 1_000_000 }), []);
    });
    assert.ok(await store.get(id));
  });
});

const postgres = testEngines().find(({ name }) => name === 'PostgreSQL');

test('Machines of a fleet use one clock, even if one of them is 10 minutes ahead', {
  skip: postgres?.missing ?? false,
}, async () => {
  assert.ok(postgres);
  const stores = await postgres.open();
  try {
    await stepped(tenMinutes, async () => {
      const ahead = await stores.peer();
      assert.ok(Math.abs(ahead.now() - stores.store.now()) < tenMinutes / 2);
      await submit(ahead, { limits: limits(300_000) });
      await submit(stores.store, { limits: limits(300_000) });
      for (const store of [ahead, stores.store]) assert.equal(await store.expireWaiting(), 0);
    });
  } finally {
    await stores.end();
    await postgres.stop();
  }
});

test('The clock counts small differences as drift, and large ones as steps', async () => {
  let offset = 0;
  const clock = new StoreClock(() => performance.now() + offset);
  const steps: number[] = [];
  const refresh = async () => {
    await clock.refresh();
    await clock.handleSteps(async (ms) => {
      steps.push(Math.round(ms / 1000));
    });
  };
  await refresh();
  offset += 400;
  await refresh();
  offset += 5000;
  await refresh();
  offset -= 9000;
  await refresh();
  assert.deepEqual(steps, [5, -9]);
  assert.ok(Math.abs(clock.steppedMs - 5000) < 1000, 'only steps forward are added up');
});

test('A step is handled again if handling it has failed', async () => {
  let offset = 0;
  const clock = new StoreClock(() => performance.now() + offset);
  await clock.refresh();
  offset += 5000;
  await clock.refresh();
  await assert.rejects(clock.handleSteps(() => Promise.reject(new Error('the disk is full'))));
  const handled: number[] = [];
  for (let time = 0; time < 2; time += 1) {
    await clock.refresh();
    await clock.handleSteps(async (ms) => {
      handled.push(Math.round(ms / 1000));
    });
  }
  assert.deepEqual(handled, [5]);
});
