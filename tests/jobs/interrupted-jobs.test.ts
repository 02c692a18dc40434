/** When an interrupted job is started again: with a server that is stopped, and with a server that crashes. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { JobRequest } from '../../src/jobs/spec.ts';
import type { JobStore } from '../../src/store/job-store.ts';
import { jobSpec, type TestStores, testEngines } from '../support/job-engines.ts';
import { reaches, startJobs, untilAborted } from '../support/jobs.ts';
import { waitUntil } from '../support/wait-until.ts';

const request: JobRequest = { prompt: 'Count the files', owner: 'a', model: 'haiku', onInterrupt: 'requeue' };

/** Runs the job on a server, stops the server while the job runs, and returns the state of the job. */
async function stopWhileRunning(stores: TestStores, store: JobStore, maxAttempts: number, id?: string) {
  const next = await stores.peer();
  const jobs = await startJobs(store, (_task, { signal }) => untilAborted(signal), { maxAttempts });
  const job = id ?? (await jobs.submit(request)).job.id;
  await reaches(jobs, job, 'running');
  await jobs.destroy();
  const found = await next.get(job);
  return { next, id: job, state: found?.state, attempt: found?.attempt };
}

for (const engine of testEngines()) {
  const onStores = (name: string, body: (stores: TestStores) => Promise<void>) =>
    test(name, async () => {
      const stores = await engine.open();
      try {
        await body(stores);
      } finally {
        await stores.end();
      }
    });

  describe(`Interrupted jobs on ${engine.name}`, { skip: engine.missing ?? false }, () => {
    after(() => engine.stop());

    onStores('a stopped server requeues a job until its attempts are used up', async (stores) => {
      const first = await stopWhileRunning(stores, stores.store, 2);
      assert.deepEqual([first.state, first.attempt], ['queued', 1]);
      const second = await stopWhileRunning(stores, first.next, 2, first.id);
      assert.deepEqual([second.state, second.attempt], ['interrupted', 2]);
    });

    onStores('a crashed server’s job is requeued until its attempts are used up', async (stores) => {
      const { store } = stores;
      const { job } = await store.submit(jobSpec({ onInterrupt: 'requeue' }), { maxWaiting: 10, fingerprint: '' });
      await store.claim();
      const next = await stores.afterCrash();
      await next.recoverLost({ maxAttempts: 2 });
      assert.equal((await next.get(job.id))?.state, 'queued');
      await next.claim();
      const last = await stores.afterCrash();
      await last.recoverLost({ maxAttempts: 2 });
      const found = await last.get(job.id);
      assert.deepEqual([found?.state, found?.attempt], ['interrupted', 2]);
    });

    onStores('a job that is cancelled while its server stops is not requeued', async (stores) => {
      const agentEnds = Promise.withResolvers<void>();
      let stopping = false;
      const jobs = await startJobs(stores.store, async (_task, { signal, emit }) => {
        emit({ type: 'text', text: 'So far' });
        return untilAborted(signal).catch(async (reason) => {
          stopping = true;
          await agentEnds.promise;
          throw reason;
        });
      });
      const { id } = (await jobs.submit(request)).job;
      await reaches(jobs, id, 'running');
      const other = await stores.peer();
      const ended = jobs.destroy();
      await waitUntil('the agent is to end', () => stopping);
      assert.equal((await other.cancel(id))?.result, 'stopping');
      agentEnds.resolve();
      await ended;
      const found = await other.get(id);
      assert.deepEqual([found?.state, found?.output, found?.error?.code], ['cancelled', 'So far', 'cancelled']);
    });
  });
}
