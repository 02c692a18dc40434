/** Jobs wait while a cause outside of them makes every attempt fail, and lose nothing by it. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { type ErrorCode, errorTable, ServiceError } from '../../src/errors.ts';
import type { Jobs, JobsOptions } from '../../src/jobs/jobs.ts';
import type { JobRequest } from '../../src/jobs/spec.ts';
import type { RunEvent } from '../../src/task.ts';
import { type TestStores, testEngines } from '../support/job-engines.ts';
import { ended, outcome, reaches, type Script, startJobs, untilAborted } from '../support/jobs.ts';
import { waitUntil } from '../support/wait-until.ts';

const request: JobRequest = { prompt: 'Count the files', owner: 'a', model: 'haiku' };
const all = { limit: 200 };
const never = new AbortController().signal;

/** The codes of errors with which an attempt can fail although the same attempt may succeed later. */
const temporary = (Object.keys(errorTable) as ErrorCode[]).filter((code) => 'temporary' in errorTable[code]);

const failure = (code: ErrorCode, extra = {}) => new ServiceError(code, `Cannot run: ${code}`, extra);

for (const engine of testEngines()) {
  type Start = (script: Script, options?: Partial<JobsOptions> & { capacity?: number }) => Promise<Jobs>;

  const onJobs = (name: string, body: (start: Start, stores: TestStores) => Promise<void>) =>
    test(name, async () => {
      const stores = await engine.open();
      const started: Jobs[] = [];
      try {
        await body(async (script, options) => {
          const jobs = await startJobs(stores.store, script, options);
          started.push(jobs);
          return jobs;
        }, stores);
      } finally {
        for (const jobs of started) await jobs.destroy();
        await stores.end();
      }
    });

  describe(`Held jobs on ${engine.name}`, { skip: engine.missing ?? false }, () => {
    after(() => engine.stop());

    for (const code of temporary) {
      onJobs(`wait until the cause of ${code} is gone, and then all complete`, async (start) => {
        let broken = true;
        let tries = 0;
        const jobs = await start(async () => {
          tries += 1;
          if (broken) throw failure(code);
          return outcome('done');
        });
        const submitted = await Promise.all(Array.from({ length: 30 }, () => jobs.submit(request)));
        await waitUntil('several attempts have failed', () => tries >= 4);
        const { jobs: waiting } = await jobs.list(all);
        assert.ok(waiting.every(({ state }) => state === 'queued' || state === 'running'));
        assert.equal(jobs.problems().held?.code, code);
        broken = false;
        for (const { job } of submitted) assert.equal((await ended(jobs, job.id)).state, 'completed');
        assert.equal(jobs.problems().held, undefined);
      });
    }

    onJobs('are tried one at a time, and say why they wait', async (start) => {
      let running = 0;
      let most = 0;
      let tries = 0;
      const jobs = await start(
        async () => {
          tries += 1;
          // The first attempts start together, before the cause is known.
          if (tries <= 3) {
            await waitUntil('all slots are used', () => tries >= 3);
            throw failure('workspace_unavailable');
          }
          running += 1;
          most = Math.max(most, running);
          await new Promise((resolve) => setImmediate(resolve));
          running -= 1;
          throw failure('workspace_unavailable');
        },
        { capacity: 3 },
      );
      const ids: string[] = [];
      for (let count = 0; count < 6; count += 1) ids.push((await jobs.submit(request)).job.id);
      await waitUntil('there were further attempts', () => tries >= 8);
      assert.equal(most, 1);
      const last = await waitUntil('the last job waits', async () => {
        const job = await jobs.get(ids.at(-1) ?? '');
        return job?.state === 'queued' ? job : undefined;
      });
      assert.equal(last.waitingFor?.code, 'workspace_unavailable');
      assert.equal(last.waitingFor?.message, 'Cannot run: workspace_unavailable');
      const events = [];
      for await (const event of jobs.events(ids[0] ?? '', { signal: never })) {
        if (event.type !== 'state') continue;
        events.push([event.state, event.error?.code]);
        if (events.length === 3) break;
      }
      assert.deepEqual(events, [
        ['queued', undefined],
        ['running', undefined],
        ['queued', 'workspace_unavailable'],
      ]);
    });

    const signsOfWork: Record<string, { event?: RunEvent; spent?: ServiceError['extra']['spent'] }> = {
      'its text': { event: { type: 'text', text: 'Half' } },
      'a tool call': { event: { type: 'tool_call', id: 't', name: 'Bash', input: {} } },
      'its cost': { spent: { costUsd: 0.01, models: {}, turns: 1 } },
    };
    for (const [sign, { event, spent }] of Object.entries(signsOfWork)) {
      onJobs(`end if the agent had begun to work, as ${sign} shows`, async (start) => {
        let tries = 0;
        const jobs = await start(async (_task, tools) => {
          tries += 1;
          if (event) tools.emit(event);
          throw failure('not_signed_in', { spent });
        });
        const { job } = await jobs.submit(request);
        assert.equal((await ended(jobs, job.id)).error?.code, 'not_signed_in');
        assert.equal(tries, 1);
      });
    }

    onJobs('start only after a free check, if the cause can be seen without an attempt', async (start) => {
      let signedIn = false;
      let tries = 0;
      let checks = 0;
      const jobs = await start(
        async () => {
          tries += 1;
          if (!signedIn) throw failure('not_signed_in');
          return outcome('done');
        },
        {
          async check() {
            checks += 1;
            return signedIn ? undefined : failure('not_signed_in');
          },
        } as Partial<JobsOptions>,
      );
      const { job } = await jobs.submit(request);
      await waitUntil('the jobs are held', () => jobs.problems().held);
      const second = (await jobs.submit(request)).job.id;
      await waitUntil('the second job says why it waits', async () => (await jobs.get(second))?.waitingFor);
      await waitUntil('it was checked several times', () => checks >= 4);
      assert.equal(tries, 1);
      signedIn = true;
      for (const id of [job.id, second]) assert.equal((await ended(jobs, id)).state, 'completed');
      assert.equal(tries, 3);
    });

    onJobs('that fail for a cause of their own do not stop the jobs of others', async (start) => {
      const poison = ['model_rate_limited', 'agent_not_started', 'not_signed_in', 'workspace_unavailable'] as const;
      const jobs = await start(async (task) => {
        const code = task.agent as ErrorCode | undefined;
        if (code) throw failure(code);
        return outcome('done');
      });
      for (const agent of poison) await jobs.submit({ ...request, agent });
      await waitUntil('each of them has failed', async () => {
        const { jobs: all } = await jobs.list({ limit: 10 });
        return all.every(({ emptyAttempts = 0 }) => emptyAttempts > 0);
      });
      for (const owner of ['a', 'b']) {
        const { job } = await jobs.submit({ ...request, owner });
        assert.equal((await ended(jobs, job.id)).state, 'completed');
      }
      const { jobs: left } = await jobs.list({ limit: 10, state: 'queued' });
      assert.ok(left.length >= poison.length - 1, 'they still wait');
    });

    onJobs('name the cause at the end of their longest wait, also if they were never tried', async (start) => {
      const jobs = await start(
        async () => {
          throw failure('agent_not_started');
        },
        { check: async () => failure('agent_not_started') } as Partial<JobsOptions>,
      );
      await jobs.submit(request);
      await waitUntil('the jobs are held', () => jobs.problems().held);
      const { job } = await jobs.submit({ ...request, limits: { waitMs: 50 } });
      assert.match(
        (await ended(jobs, job.id)).error?.message ?? '',
        /because of an error \(Cannot run: agent_not_started\)/,
      );
    });

    onJobs('can be cancelled', async (start) => {
      const jobs = await start(async () => {
        throw failure('agent_not_started');
      });
      const { job } = await jobs.submit(request);
      await waitUntil('the jobs are held', () => jobs.problems().held);
      await jobs.cancel(job.id);
      const { state } = await ended(jobs, job.id);
      assert.equal(state, 'cancelled');
      await waitUntil('nothing is held, because no job is left', () => jobs.problems().held === undefined);
    });

    onJobs('keep their attempts for real interruptions', async (start, stores) => {
      let tries = 0;
      const jobs = await start(
        async (_task, { signal, emit }) => {
          tries += 1;
          if (tries <= 5) throw failure('agent_not_started');
          emit({ type: 'text', text: 'Working' });
          return untilAborted(signal);
        },
        { maxAttempts: 2 },
      );
      const { job } = await jobs.submit({ ...request, onInterrupt: 'requeue' });
      const running = await waitUntil('the agent works', async () => {
        const now = await jobs.get(job.id);
        return now?.state === 'running' && now.attempt === 6 ? now : undefined;
      });
      assert.equal(running.emptyAttempts, 5);
      const peer = await stores.peer();
      await jobs.destroy();
      assert.equal((await peer.get(job.id))?.state, 'queued', 'this is the first of 2 attempts that count');
    });

    onJobs('say at the end of their longest wait why they waited', async (start) => {
      const jobs = await start(async () => {
        throw failure('not_signed_in');
      });
      const { job } = await jobs.submit({ ...request, limits: { waitMs: 50 } });
      const done = await ended(jobs, job.id);
      assert.equal(done.state, 'timeout');
      assert.match(done.error?.message ?? '', /because of an error \(Cannot run: not_signed_in\)/);
    });

    onJobs('do not hold back a job that runs already', async (start) => {
      const finish = Promise.withResolvers<void>();
      let broken = false;
      const jobs = await start(async (_task, { emit }) => {
        if (broken) throw failure('agent_not_started');
        emit({ type: 'text', text: 'Working' });
        await finish.promise;
        return outcome('done');
      });
      const first = (await jobs.submit(request)).job.id;
      await reaches(jobs, first, 'running');
      broken = true;
      const second = (await jobs.submit(request)).job.id;
      await waitUntil('the second job is held', async () => (await jobs.get(second))?.waitingFor);
      finish.resolve();
      assert.equal((await ended(jobs, first)).state, 'completed');
      assert.ok(jobs.problems().held, 'the end of the first job says nothing about the cause');
    });
  });
}
