/** The end of jobs, the part of them that is kept, and for how long, in every store. */
import assert from 'node:assert/strict';
import { follow } from '../../src/runs/follow.ts';
import { storedLog } from '../../src/runs/stored-log.ts';
import type { JobEnd } from '../../src/store/job.ts';
import { claim, completed, describeStore, eventsOf, runThrough, submit } from '../store/store-suite.ts';
import { jobSpec } from '../support/job-engines.ts';
import { waitUntil } from '../support/wait-until.ts';

const keepAll = { ttlMs: 3_600_000, maxJobs: 1000, maxBytes: 1_000_000_000 };

describeStore('The end of a job', (onStore) => {
  onStore('keeps the whole record of a finished job, and its patch separately', async (store) => {
    const end: JobEnd = {
      ...completed,
      exitCode: 0,
      usage: { inputTokens: 1, cacheReadTokens: 2, cacheWriteTokens: 3, outputTokens: 4 },
      models: { haiku: { inputTokens: 1, cacheReadTokens: 2, cacheWriteTokens: 3, outputTokens: 4, costUsd: 0.5 } },
      costUsd: 0.5,
      turns: 2,
      sessionId: 's',
      sync: { state: 'synced', revision: 'abc' },
      workspace: {
        revision: 'abc',
        files: [{ path: 'a', change: 'added', added: 1, removed: 0 }],
        patch: 'diff --git',
      },
    };
    const { id } = await runThrough(store, {}, end);
    const { patch, ...workspace } = end.workspace ?? { files: [] };
    const found = await store.get(id);
    assert.deepEqual({ ...found, ...end, workspace }, found);
    assert.equal(await store.patch(id), patch);
    const last = (await eventsOf(store, id)).at(-1);
    assert.equal(last?.type === 'state' && last.costUsd, 0.5);
  });

  onStore('accepts the end of a job once, and only from the worker that has claimed it', async (store) => {
    await submit(store);
    const job = await claim(store);
    assert.equal(await store.finish({ id: job.id, attempt: 7 }, completed), false);
    const ends = await Promise.all([
      store.finish(job, completed),
      store.finish(job, { ...completed, state: 'failed' }),
    ]);
    assert.deepEqual(ends.filter(Boolean).length, 1);
    assert.equal((await eventsOf(store, job.id)).length, 3);
  });

  onStore('cancels a waiting job, stops a running one, and does not change one that has ended', async (store) => {
    const waiting = await submit(store);
    const cancelled = await store.cancel(waiting.id);
    assert.equal(cancelled?.result, 'never_started');
    assert.equal(cancelled?.job.state, 'cancelled');
    assert.equal(cancelled?.job.error?.code, 'cancelled');
    assert.equal(await store.claim(), undefined);

    await submit(store);
    const running = await claim(store);
    let notified = false;
    const off = store.notifications.on(`cancel:${running.id}`, () => {
      notified = true;
    });
    assert.equal((await store.cancel(running.id))?.result, 'stopping');
    await waitUntil('the worker is notified', () => notified);
    off();
    const { lost, toStop } = await store.heartbeat('job', [running]);
    assert.deepEqual({ lost, toStop: toStop.map(({ id }) => id) }, { lost: [], toStop: [running.id] });
    await store.finish(running, { ...completed, state: 'cancelled' });
    assert.equal((await store.cancel(running.id))?.result, 'finished');
    assert.equal(await store.cancel('00000000-0000-7000-8000-000000000000'), undefined);
  });

  onStore('marks a job whose server died as interrupted, and keeps its output so far', async (store, stores) => {
    await submit(store);
    const job = await claim(store);
    const texts = ['I looked', ' around'].map((text) => ({ at: 1, body: { type: 'text', text } as const }));
    await store.appendEvents(job, job.lastSeq, texts);
    const next = await stores.afterCrash();
    assert.equal(await next.recoverLost({ maxAttempts: 3 }), 1);
    assert.equal(await next.recoverLost({ maxAttempts: 3 }), 0);
    const found = await next.get(job.id);
    assert.equal(found?.state, 'interrupted');
    assert.equal(found?.output, 'I looked around');
    assert.equal(found?.error?.code, 'interrupted');
    assert.equal(await next.claim(), undefined);
  });

  onStore(
    'requeues a job whose server died if on_interrupt says so, up to the limit of attempts',
    async (store, stores) => {
      await submit(store, { onInterrupt: 'requeue' });
      const first = await claim(store);
      const next = await stores.afterCrash();
      assert.equal(await next.recoverLost({ maxAttempts: 2 }), 1);
      assert.equal((await next.get(first.id))?.state, 'queued');
      const second = await claim(next);
      assert.deepEqual([second.id, second.attempt], [first.id, 2]);

      // If the first server was only slow, it has lost the job and cannot change it any more.
      assert.deepEqual((await store.heartbeat('job', [first])).lost, [first]);
      assert.equal(
        await store.appendEvents(first, second.lastSeq, [{ at: 1, body: { type: 'text', text: 'x' } }]),
        false,
      );
      assert.equal(await store.finish(first, completed), false);
      assert.equal(await store.requeue(first), false);
      assert.equal((await next.get(first.id))?.state, 'running');

      const last = await stores.afterCrash();
      assert.equal(await last.recoverLost({ maxAttempts: 2 }), 1);
      assert.equal((await last.get(first.id))?.state, 'interrupted');
      const states = (await eventsOf(last, first.id)).map((event) => event.type === 'state' && event.state);
      assert.deepEqual(states, ['queued', 'running', 'queued', 'running', 'interrupted']);
    },
  );

  onStore('loses no cancel that comes while a job is requeued', async (store) => {
    for (let round = 0; round < 40; round += 1) {
      await submit(store, { onInterrupt: 'requeue' });
      const job = await claim(store);
      const [requeued, cancelled] = await Promise.all([store.requeue(job), store.cancel(job.id)]);
      const state = await store.state(job.id);
      const seen = [requeued, cancelled?.result, state].join(' ');
      assert.ok(['true never_started cancelled', 'false stopping running'].includes(seen), seen);
    }
  });

  onStore('ends as cancelled a job whose server died while it was to be cancelled', async (store, stores) => {
    await submit(store, { onInterrupt: 'requeue' });
    const job = await claim(store);
    await store.cancel(job.id);
    const next = await stores.afterCrash();
    assert.equal(await next.recoverLost({ maxAttempts: 3 }), 1);
    assert.equal((await next.get(job.id))?.state, 'cancelled');
  });

  onStore('puts a requeued job back into the queue', async (store) => {
    await submit(store);
    const job = await claim(store);
    assert.equal(await store.requeue(job), true);
    assert.equal(await store.requeue(job), false);
    assert.equal((await store.outlook(job.id))?.position, 1);
    assert.equal((await claim(store)).attempt, 2);
  });

  onStore('ends a job that has waited too long', async (store) => {
    const { limits } = jobSpec();
    const brief = await submit(store, { limits: { ...limits, waitMs: 1 } });
    const patient = await submit(store);
    await waitUntil('the wait is over', () => Date.now() > brief.createdAt + 5);
    assert.equal(await store.expireWaiting(), 1);
    const found = await store.get(brief.id);
    assert.deepEqual([found?.state, found?.error?.code], ['timeout', 'wait_timeout']);
    assert.equal((await claim(store)).id, patient.id);
  });

  onStore('lists the newest first, page by page, and by state and agent', async (store) => {
    const ids: string[] = [];
    for (let at = 0; at < 7; at += 1) {
      ids.unshift((await submit(store, { prompt: 'x'.repeat(500), ...(at % 2 === 0 && { agent: 'even' }) })).id);
    }
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await store.list({ limit: 3, ...(cursor && { cursor }) });
      seen.push(...page.jobs.map(({ id }) => id));
      cursor = page.nextCursor;
    } while (cursor);
    assert.deepEqual(seen, ids);
    assert.equal((await store.list({ limit: 10, agent: 'even' })).jobs.length, 4);
    await claim(store);
    assert.equal((await store.list({ limit: 10, state: 'running' })).jobs.length, 1);
    const [job] = (await store.list({ limit: 1 })).jobs;
    assert.equal(job?.prompt.length, 200);
    assert.equal(job && 'output' in job, false);
  });

  onStore(
    'removes finished jobs that are too old, too many or too large, with their events and patches',
    async (store) => {
      const patched: JobEnd = { ...completed, workspace: { files: [], patch: 'p'.repeat(1000) } };
      const jobs: string[] = [];
      for (let at = 0; at < 4; at += 1) jobs.push((await runThrough(store, {}, patched)).id);
      const running = (await submit(store)).id;
      await claim(store);
      assert.deepEqual(await store.removeOld(keepAll), []);
      assert.deepEqual(await store.removeOld({ ...keepAll, maxJobs: 3 }), jobs.slice(0, 1));
      assert.deepEqual(await store.removeOld({ ...keepAll, maxBytes: 3000 }), jobs.slice(1, 2));
      assert.deepEqual(await store.removeOld({ ...keepAll, ttlMs: -1000 }), jobs.slice(2));
      for (const id of jobs) {
        assert.equal(await store.get(id), undefined);
        assert.deepEqual(await eventsOf(store, id), []);
        assert.equal(await store.patch(id), undefined);
      }
      assert.equal((await store.get(running))?.state, 'running');
    },
  );

  onStore(
    'keeps a job until its webhook is delivered or given up, and gives the webhook to one worker at a time',
    async (store, stores) => {
      const { id } = await runThrough(store, { callbackUrl: 'https://example.org/hook' });
      const silent = await runThrough(store);
      const takers = await Promise.all([1, 2, 3].map(() => store.takeDueWebhooks(10, 60_000)));
      assert.deepEqual(
        takers.flat().map((job) => job.id),
        [id],
      );
      assert.deepEqual(await store.removeOld({ ...keepAll, ttlMs: -1000 }), [silent.id]);
      await store.recordWebhook(id, {
        state: 'pending',
        attempts: 1,
        nextAttemptAt: Date.now() - 1,
        detail: 'refused',
      });
      const next = await stores.afterCrash();
      const [due] = await next.takeDueWebhooks(10, 60_000);
      assert.equal(due?.callback?.attempts, 1);
      await next.recordWebhook(id, { state: 'delivered', attempts: 2, deliveredAt: 5, status: 200 });
      assert.deepEqual(await next.takeDueWebhooks(10, 0), []);
      assert.deepEqual((await next.get(id))?.callback, {
        state: 'delivered',
        attempts: 2,
        deliveredAt: 5,
        status: 200,
      });
      assert.deepEqual(await next.removeOld({ ...keepAll, ttlMs: -1000 }), [id]);
    },
  );

  onStore('lets a reader follow a job from anywhere without a gap or a repeat', async (store) => {
    const { id } = await submit(store);
    const numbers = async (after: number, signal = new AbortController().signal) => {
      const seen: number[] = [];
      for await (const { seq } of follow(storedLog(store, id), after, signal)) seen.push(seq);
      return seen;
    };
    const live = [numbers(0), numbers(0), numbers(3)];
    const leaving = new AbortController();
    const left = numbers(0, leaving.signal);
    const job = await claim(store);
    for (let seq = 2; seq < 50; seq += 3) {
      await store.appendEvents(
        job,
        seq,
        [1, 2, 3].map((at) => ({ at, body: { type: 'text', text: 'x' } as const })),
      );
    }
    leaving.abort();
    assert.ok((await left).length < 51);
    await store.finish(job, completed);
    const all = Array.from({ length: Number((await store.get(id))?.lastSeq) }, (_, at) => at + 1);
    assert.deepEqual(await Promise.all(live), [all, all, all.slice(3)]);
    assert.deepEqual(await numbers(0), all);
    assert.deepEqual(await numbers(all.length - 1), all.slice(-1));
    assert.deepEqual(await numbers(all.length), []);
    assert.deepEqual(await numbers(9999), []);
  });
});
