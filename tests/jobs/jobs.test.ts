/** Jobs from their request to their end, on slots of this process and on every store. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { ServiceError } from '../../src/errors.ts';
import type { Jobs, JobsOptions } from '../../src/jobs/jobs.ts';
import type { JobRequest } from '../../src/jobs/spec.ts';
import type { JobState, StoredEvent } from '../../src/store/job.ts';
import type { Task } from '../../src/task.ts';
import { type TestStores, testEngines } from '../support/job-engines.ts';
import { ended, outcome, reaches, type Script, startJobs, untilAborted } from '../support/jobs.ts';
import { waitUntil } from '../support/wait-until.ts';

const never = new AbortController().signal;
const request: JobRequest = { prompt: 'Count the files', owner: 'a', model: 'haiku' };

const codeIs = (code: string, param?: string) => (error: unknown) =>
  error instanceof ServiceError && error.code === code && error.extra.param === param;

for (const engine of testEngines()) {
  type Bench = {
    stores: TestStores;
    start(
      execute?: Script,
      options?: Partial<JobsOptions> & { capacity?: number },
    ): Promise<Jobs & { errors: unknown[] }>;
  };

  const onJobs = (name: string, body: (bench: Bench) => Promise<void>) =>
    test(name, async () => {
      const stores = await engine.open();
      const started: Jobs[] = [];
      try {
        await body({
          stores,
          async start(execute, options) {
            const jobs = await startJobs(stores.store, execute, options);
            started.push(jobs);
            return jobs;
          },
        });
      } finally {
        for (const jobs of started) await jobs.destroy();
        await stores.end();
      }
    });

  describe(`Jobs on ${engine.name}`, { skip: engine.missing ?? false }, () => {
    after(() => engine.stop());

    onJobs('run as their requests say, and their whole record is kept', async ({ start }) => {
      const tasks: Task[] = [];
      const jobs = await start(async (task, tools) => {
        tasks.push(task);
        tools.emit({ type: 'workspace', sync: { state: 'unchanged', revision: 'abc' } });
        tools.emit({ type: 'text', text: 'Let me look.' });
        tools.emit({ type: 'tool_call', id: 't1', name: 'Bash', input: { command: 'ls' } });
        tools.emit({ type: 'tool_result', id: 't1', isError: false, text: 'a b c' });
        tools.emit({ type: 'text', text: 'There are 3.' });
        tools.leave({ revision: 'abc', files: [{ path: 'a', change: 'modified' }], patch: 'the patch' });
        return { ...outcome('There are 3.'), costUsd: 0.25, turns: 2, exitCode: 0, sessionId: 's' };
      });
      const { job, created } = await jobs.submit({ ...request, agent: 'counter', metadata: { ticket: 7 } });
      assert.deepEqual([created, job.state, job.position], [true, 'queued', 1]);
      const done = await ended(jobs, job.id);
      assert.deepEqual(
        [done.state, done.result, done.output, done.costUsd, done.turns, done.attempt, done.exitCode],
        ['completed', 'There are 3.', 'Let me look.There are 3.', 0.25, 2, 1, 0],
      );
      assert.deepEqual(done.metadata, { ticket: 7 });
      assert.deepEqual(done.workspace, { revision: 'abc', files: [{ path: 'a', change: 'modified' }] });
      assert.equal(await jobs.patch(job.id), 'the patch');
      assert.ok(Number(done.startedAt) >= done.createdAt && Number(done.finishedAt) >= Number(done.startedAt));
      const [task] = tasks;
      assert.deepEqual(
        [task?.id, task?.kind, task?.agent, task?.model, task?.messages[0]?.blocks],
        [job.id, 'job', 'counter', 'haiku', [{ type: 'text', text: 'Count the files' }]],
      );
      const types: string[] = [];
      for await (const event of jobs.events(job.id, { signal: never })) types.push(event.type);
      assert.deepEqual(types, ['state', 'state', 'workspace', 'text', 'tool_call', 'tool_result', 'text', 'state']);
    });

    onJobs('end in a state and an error of their own for every kind of failure', async ({ start }) => {
      const jobs = await start(async (task) => {
        const code = task.agent as ServiceError['code'];
        throw new ServiceError(code, `Cannot finish the run: ${code}`, {
          exitCode: 7,
          stderr: 'boom\0',
          spent: { costUsd: 0.5, turns: 3, models: {} },
        });
      });
      const expected: [ServiceError['code'], JobState][] = [
        ['agent_failed', 'failed'],
        ['budget_exceeded', 'failed'],
        ['workspace_unavailable', 'failed'],
        ['agent_timeout', 'timeout'],
        ['agent_stalled', 'timeout'],
      ];
      for (const [code, state] of expected) {
        const { job } = await jobs.submit({ ...request, agent: code });
        const done = await ended(jobs, job.id);
        assert.equal(done.state, state);
        assert.deepEqual(done.error, { code, message: `Cannot finish the run: ${code}` });
        assert.deepEqual([done.exitCode, done.stderr, done.costUsd], [7, 'boom\uFFFD', 0.5]);
      }
    });

    onJobs('show of an internal error of the server only that there was one', async ({ start }) => {
      const jobs = await start(async () => {
        throw new TypeError('secret internals');
      });
      const { job } = await jobs.submit(request);
      const done = await ended(jobs, job.id);
      assert.deepEqual([done.state, done.error?.code], ['failed', 'internal']);
      assert.doesNotMatch(JSON.stringify(done), /secret internals/);
    });

    onJobs(
      'run at most as many at once as there are slots, and the next one as soon as a slot is free',
      async ({ start }) => {
        let running = 0;
        let most = 0;
        const jobs = await start(async () => {
          running += 1;
          most = Math.max(most, running);
          await new Promise((resolve) => setImmediate(resolve));
          running -= 1;
          return outcome('done');
        });
        const submitted = await Promise.all(Array.from({ length: 12 }, () => jobs.submit(request)));
        for (const { job } of submitted) assert.equal((await ended(jobs, job.id)).attempt, 1);
        assert.ok(most <= 2);
      },
    );

    onJobs('are cancelled while they wait and while they run, but not after', async ({ start }) => {
      const started: string[] = [];
      const jobs = await start(async (task, { signal }) => {
        started.push(task.id);
        return untilAborted(signal);
      });
      const running = await Promise.all([jobs.submit(request), jobs.submit(request)]);
      for (const { job } of running) await reaches(jobs, job.id, 'running');
      const waiting = (await jobs.submit(request)).job;
      const never = await jobs.cancel(waiting.id);
      assert.deepEqual([never.result, never.job.state], ['never_started', 'cancelled']);
      for (const { job } of running) {
        assert.equal((await jobs.cancel(job.id)).result, 'stopping');
        const done = await ended(jobs, job.id);
        assert.deepEqual([done.state, done.error?.code], ['cancelled', 'cancelled']);
        await assert.rejects(jobs.cancel(job.id), codeIs('job_finished'));
      }
      assert.deepEqual(new Set(started), new Set(running.map(({ job }) => job.id)));
      await assert.rejects(jobs.cancel('unknown'), codeIs('not_found'));
      await assert.rejects(async () => {
        for await (const _ of jobs.events('unknown', { signal: new AbortController().signal }));
      }, codeIs('not_found'));
    });

    onJobs('are the same job for the same request with the same Idempotency-Key', async ({ start }) => {
      const jobs = await start();
      const first = await jobs.submit({ ...request, idempotencyKey: 'k' });
      const again = await jobs.submit({ ...request, idempotencyKey: 'k' });
      assert.deepEqual([again.created, again.job.id], [false, first.job.id]);
      await assert.rejects(
        jobs.submit({ ...request, agent: 'other', idempotencyKey: 'k' }),
        codeIs('idempotency_conflict'),
      );
    });

    onJobs('are followed live, and the limit on their events is an event', async ({ start }) => {
      const { promise: go, resolve: goOn } = Promise.withResolvers<void>();
      const long = 'x'.repeat(10_000);
      const jobs = await start(
        async (_task, { emit }) => {
          emit({ type: 'tool_call', id: 't', name: 'Write', input: { content: long } });
          emit({ type: 'tool_result', id: 't', isError: false, text: long });
          await go;
          for (let at = 0; at < 50; at += 1) {
            emit({ type: 'text', text: `${at} ` });
            emit({ type: 'retry', attempt: at, maxAttempts: 50, delayMs: 1 });
          }
          return outcome('done');
        },
        { events: { maxEvents: 10, maxBytes: 1_000_000 } },
      );
      const { job } = await jobs.submit(request);
      const seen: StoredEvent[] = [];
      for await (const event of jobs.events(job.id, { signal: never })) {
        seen.push(event);
        // This line is reached only if the first events arrive while the job runs.
        if (event.type === 'tool_result') goOn();
      }
      const call = seen.find(({ type }) => type === 'tool_call');
      const result = seen.find(({ type }) => type === 'tool_result');
      assert.match(JSON.stringify(call), /"content":"x{2000}… \(8000 more characters\)"/);
      assert.match(JSON.stringify(result), /x{4000}… \(6000 more characters\)/);
      assert.deepEqual(
        seen.map(({ seq }) => seq),
        seen.map((_, at) => at + 1),
      );
      assert.equal(seen.length, 2 + 10 + 1);
      assert.deepEqual(seen.at(-2)?.type, 'events_full');
      // The record also has the text beyond the limit on events.
      assert.match((await ended(jobs, job.id)).output, /^0 1 2 .* 49 $/);
    });

    onJobs('are finished when the server drains, and no more are accepted', async ({ start }) => {
      const { promise: go, resolve: goOn } = Promise.withResolvers<void>();
      const jobs = await start(async () => {
        await go;
        return outcome('done');
      });
      const running = await Promise.all([jobs.submit(request), jobs.submit(request)]);
      for (const { job } of running) await reaches(jobs, job.id, 'running');
      const waiting = (await jobs.submit(request)).job;
      const drained = jobs.drain();
      await assert.rejects(jobs.submit(request), codeIs('shutting_down'));
      goOn();
      await drained;
      for (const { job } of running) assert.equal((await jobs.get(job.id))?.state, 'completed');
      assert.equal((await jobs.get(waiting.id))?.state, 'queued');
    });

    onJobs(
      'are interrupted or requeued when the server ends at once, as on_interrupt says',
      async ({ start, stores }) => {
        const jobs = await start(async (_task, { signal, emit }) => {
          emit({ type: 'text', text: 'So far' });
          return untilAborted(signal);
        });
        const marked = (await jobs.submit({ ...request, onInterrupt: 'mark' })).job;
        const again = (await jobs.submit({ ...request, onInterrupt: 'requeue' })).job;
        for (const { id } of [marked, again]) await reaches(jobs, id, 'running');
        const next = await stores.peer();
        await jobs.destroy();
        const found = await next.get(marked.id);
        assert.deepEqual([found?.state, found?.output, found?.error?.code], ['interrupted', 'So far', 'interrupted']);
        assert.equal((await next.get(again.id))?.state, 'queued');
      },
    );

    onJobs('of a dead server are requeued at the next start', async ({ stores }) => {
      const left = await stores.store.submit(
        {
          ...request,
          limits: { runMs: 1000, stallMs: 0, waitMs: 0, budgetUsd: 1 },
          priority: 0,
          onInterrupt: 'requeue',
        },
        { maxWaiting: 10, fingerprint: '' },
      );
      await stores.store.claim();
      const store = await stores.afterCrash();
      const jobs = await startJobs(store, async (task) => outcome(task.id));
      const done = await ended(jobs, left.job.id);
      assert.deepEqual([done.state, done.attempt, done.result], ['completed', 2, `${left.job.id}-2`]);
      await jobs.destroy();
    });

    onJobs(
      'that another worker has claimed are stopped, and nothing of the first run is kept',
      async ({ start, stores }) => {
        const stopped: unknown[] = [];
        const run: Script = (_task, { signal }) =>
          untilAborted(signal).catch((reason) => {
            stopped.push(reason);
            throw reason;
          });
        // Its only slot stays taken, so that it does not claim the job again itself.
        const slow = await start(run, { capacity: 1 });
        const { job } = await slow.submit({ ...request, onInterrupt: 'requeue' });
        await reaches(slow, job.id, 'running');
        const other = await stores.afterCrash();
        await other.recoverLost({ maxAttempts: 3 });
        const taken = await other.claim();
        assert.deepEqual([taken?.id, taken?.attempt], [job.id, 2]);
        await waitUntil('the first worker has noticed', () => stopped.length > 0);
        assert.ok(
          taken && (await other.finish(taken, { state: 'completed', output: 'by the other worker', stderr: '' })),
        );
        assert.equal((await ended(slow, job.id)).output, 'by the other worker');
      },
    );
  });
}
