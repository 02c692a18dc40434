/** Chat requests that run on another machine through the store. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { ServiceError } from '../../src/errors.ts';
import { createRemoteRun, type RemoteRunSettings, type RunRemotely } from '../../src/runs/remote-run.ts';
import type { RunEvent, Task } from '../../src/task.ts';
import { type TestStores, testEngines } from '../support/job-engines.ts';
import { outcome, type Script, startJobs, type TestJobs, untilAborted } from '../support/jobs.ts';
import { waitUntil } from '../support/wait-until.ts';

const waiting = {
  signal: new AbortController().signal,
  emit: () => {},
  whenBusy: 'queue',
  settle: 'at_outcome',
} as const;

function task(owner = 'a'): Task {
  return {
    id: 'chatcmpl-1',
    kind: 'chat',
    owner,
    model: 'haiku',
    reuse: 'kept',
    messages: [{ role: 'user', blocks: [{ type: 'text', text: 'Capital of France?\0' }] }],
    limits: { runMs: 1000, stallMs: 0, budgetUsd: 1 },
  };
}

const codeIs = (code: string) => (error: unknown) => error instanceof ServiceError && error.code === code;

for (const engine of testEngines()) {
  type Tools = {
    stores: TestStores;
    worker(script: Script, capacity?: number): Promise<TestJobs>;
    gateway(settings?: Partial<RemoteRunSettings>): Promise<RunRemotely>;
  };
  const onMachines = (name: string, body: (tools: Tools) => Promise<void>) =>
    test(name, async () => {
      const stores = await engine.open();
      const started: TestJobs[] = [];
      try {
        await body({
          stores,
          async worker(script, capacity = 1) {
            const jobs = await startJobs(stores.store, script, { capacity, chats: true });
            started.push(jobs);
            return jobs;
          },
          gateway: async (settings) =>
            createRemoteRun(await gatewayStore(stores), { maxQueued: 10, waitMs: 5000, ...settings }),
        });
      } finally {
        for (const jobs of started) await jobs.destroy();
        await stores.end();
      }
    });

  /** SQLite has one process, which is both. */
  const gatewayStore = (stores: TestStores) => (engine.name === 'SQLite' ? stores.store : stores.peer());

  describe(`Runs on another machine, on ${engine.name}`, { skip: engine.missing ?? false }, () => {
    after(() => engine.stop());

    onMachines('give the outcome and the events of the agent', async ({ worker, gateway }) => {
      const given: Task[] = [];
      const result = { ...outcome('{"city":"Paris"}'), costUsd: 0.5 };
      const told: RunEvent[] = [
        { type: 'workspace', sync: { state: 'unchanged' } },
        { type: 'working', start: 'prewarmed' },
        { type: 'started', sessionId: 's', model: 'haiku' },
        { type: 'text', text: 'Par' },
        { type: 'tool_call', id: 't', name: 'Read', input: { long: 'x'.repeat(5000) } },
        { type: 'text', text: 'is' },
      ];
      await worker(async (received, { emit }) => {
        given.push(received);
        for (const event of told) emit(event);
        return result;
      });
      const heard: unknown[] = [];
      const run = await gateway();
      const got = await run(task(), { ...waiting, emit: (event) => heard.push(event) });
      assert.deepEqual(got, result);
      assert.deepEqual(given, [task()]);
      assert.deepEqual(heard, told);
    });

    onMachines('end with the error of the worker', async ({ worker, gateway }) => {
      await worker(async () => {
        throw new ServiceError('agent_failed', 'The agent failed: no credit', { exitCode: 1, cause: new Error('x') });
      });
      await assert.rejects((await gateway())(task(), waiting), (error) => {
        assert.ok(error instanceof ServiceError);
        assert.deepEqual(
          [error.code, error.message, error.extra.exitCode],
          ['agent_failed', 'The agent failed: no credit', 1],
        );
        return true;
      });
    });

    for (const [when, working, code] of [
      ['before the agent works, so that a retry costs nothing', false, 'shutting_down'],
      ['while the agent works', true, 'interrupted'],
    ] as const) {
      onMachines(`end with \`${code}\` if the worker stops ${when}`, async ({ worker, stores }) => {
        let running = false;
        const jobs = await worker(async (_task, { signal, emit }) => {
          if (working) emit({ type: 'working', start: 'new' });
          running = true;
          return untilAborted(signal);
        });
        const { chats } = await stores.peer();
        const id = await chats.submit(task(), { maxWaiting: 10, leaseMs: 30_000 });
        await waitUntil('it runs', () => running);
        await jobs.destroy();
        const end = await chats.end(id);
        assert.equal(end && 'failure' in end && end.failure.code, code);
      });
    }

    onMachines('are refused, or wait within limits, while no machine has a free slot', async ({ gateway, stores }) => {
      const run = await gateway({ maxQueued: 1, waitMs: 1500 });
      const refused = run(task(), { ...waiting, whenBusy: 'refuse' });
      await assert.rejects(refused, codeIs('agent_busy'));
      const queued = run(task(), waiting);
      const outcomes = Promise.allSettled([queued]);
      await waitUntil('it waits', () => stores.store.hasWaiting('chat'));
      await assert.rejects(run(task(), waiting), codeIs('queue_full'));
      const [waited] = await outcomes;
      assert.ok(waited?.status === 'rejected' && codeIs('wait_timeout')(waited.reason));
    });

    onMachines('are refused after the wait if a claim was lost and they wait again', async ({ gateway, stores }) => {
      const { chats } = stores.store;
      for (const [whenBusy, code] of [
        ['queue', 'wait_timeout'],
        ['refuse', 'agent_busy'],
      ] as const) {
        const refused = assert.rejects(
          (await gateway({ waitMs: 1000 }))(task(), { ...waiting, whenBusy }),
          codeIs(code),
        );
        const claim = await waitUntil('it is claimed', () => chats.claim());
        assert.equal(await chats.requeue(claim), true);
        await refused;
      }
    });

    onMachines(
      'end when the client disconnects, and when the machine of the client dies',
      async ({ worker, gateway, stores }) => {
        const stopped: unknown[] = [];
        let running = 0;
        await worker(async (_task, { signal }) => {
          running += 1;
          return untilAborted(signal).catch((reason) => {
            stopped.push(reason);
            throw reason;
          });
        }, 2);
        const client = new AbortController();
        const reason = new ServiceError('client_gone', 'Cannot answer: the client is gone');
        const run = (await gateway())(task(), { ...waiting, signal: client.signal });
        run.catch(() => {});
        await waitUntil('it runs', () => running === 1);
        client.abort(reason);
        await assert.rejects(run, (error) => error === reason);
        await waitUntil('its agent is stopped', () => stopped.length === 1);
        // A gateway that was killed says nothing more.
        const silent = await stores.store.chats.submit(task(), { maxWaiting: 10, leaseMs: 1500 });
        await waitUntil('it runs', () => running === 2);
        await waitUntil('its agent is stopped', () => stopped.length === 2);
        await waitUntil('its end is told', () => stores.store.chats.end(silent));
        assert.ok(stopped.every(codeIs('client_gone')));
      },
    );

    onMachines('leave nothing in the store, and are no jobs', async ({ worker, stores }) => {
      const jobs = await worker(async () => outcome('Paris'));
      const { store } = stores;
      const ids: string[] = [];
      const submit: typeof store.chats.submit = async (...given) => {
        ids.push(await store.chats.submit(...given));
        return ids.at(-1) ?? '';
      };
      const read = {
        events: store.events.bind(store),
        state: store.state.bind(store),
        notifications: store.notifications,
      };
      const run = createRemoteRun({ ...read, chats: { ...store.chats, submit } }, { maxQueued: 10, waitMs: 5000 });
      for (const owner of ['a', 'b', 'a']) await run(task(owner), waiting);
      assert.deepEqual(await jobs.list({ limit: 10 }), { jobs: [] });
      assert.equal(ids.length, 3);
      for (const id of ids) {
        await waitUntil('the run is removed', async () => (await store.state(id)) === undefined);
        assert.deepEqual(await store.events(id, 0, 10), []);
      }
    });
  });
}
