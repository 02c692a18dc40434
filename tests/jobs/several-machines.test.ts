/** Several processes on one PostgreSQL: workers are killed or frozen, and PostgreSQL restarts. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, afterEach, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Jobs } from '../../src/jobs/jobs.ts';
import type { JobRequest } from '../../src/jobs/spec.ts';
import type { StoredEvent } from '../../src/store/job.ts';
import { openPostgresStore } from '../../src/store/postgres-engine.ts';
import { silent } from '../support/job-engines.ts';
import { startJobs } from '../support/jobs.ts';
import { postgresMissing, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { waitUntil } from '../support/wait-until.ts';

const script = fileURLToPath(new URL('../support/job-worker.ts', import.meta.url));
const never = new AbortController().signal;

const started: { workers: ChildProcess[]; gateways: Jobs[] } = { workers: [], gateways: [] };

async function startWorker(url: string, name: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [script, url, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  started.workers.push(child);
  await once(child.stdout, 'data');
  return child;
}

async function kill(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return;
  const exited = once(worker, 'exit');
  worker.kill('SIGKILL');
  await exited;
}

async function startGateway(url: string): Promise<Jobs> {
  const store = await openPostgresStore({ url, workerTimeoutMs: 15_000, onError: () => {}, log: silent });
  const jobs = await startJobs(store, undefined);
  started.gateways.push(jobs);
  return jobs;
}

async function allEvents(jobs: Jobs, id: string): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for await (const event of jobs.events(id, { signal: never })) events.push(event);
  return events;
}

function assertWhole(events: StoredEvent[], starts: number): void {
  assert.deepEqual(
    events.map(({ seq }) => seq),
    events.map((_, at) => at + 1),
  );
  assert.equal(events.filter((event) => event.type === 'state' && event.state === 'running').length, starts);
}

const requestFor = (prompt: string, more: Partial<JobRequest> = {}): JobRequest => ({
  prompt,
  owner: 'a',
  model: 'haiku',
  ...more,
});

describe('Several machines on one PostgreSQL', {
  skip: process.env['CI'] ? false : (postgresMissing() ?? false),
}, () => {
  let postgres: TestPostgres;
  before(async () => {
    postgres = await startPostgres();
  });
  after(() => postgres.stop());
  afterEach(async () => {
    await Promise.all(started.gateways.splice(0).map((gateway) => gateway.destroy()));
    await Promise.all(started.workers.splice(0).map(kill));
  });

  test('any gateway serves the events and the cancel of a job that runs elsewhere', async () => {
    const { url } = await postgres.createDatabase();
    const [one, other] = [await startGateway(url), await startGateway(url)];
    await startWorker(url, 'w1');
    await startWorker(url, 'w2');
    const ids: string[] = [];
    for (let at = 0; at < 24; at += 1) ids.push((await one.submit(requestFor('5'))).job.id);
    for (const id of ids) {
      const events = await allEvents(other, id);
      assertWhole(events, 1);
      assert.match(String((await one.get(id))?.output), /^w[12]:0 1 2 3 4 $/);
    }
    const { job } = await one.submit(requestFor('for ever'));
    for await (const event of other.events(job.id, { signal: never })) {
      if (event.type === 'text') assert.equal((await other.cancel(job.id)).result, 'stopping');
    }
    assert.equal((await one.get(job.id))?.state, 'cancelled');
  });

  test('the jobs of a killed worker are recovered, and a frozen worker cannot finish a job that another has claimed', async () => {
    const { url } = await postgres.createDatabase();
    const gateway = await startGateway(url);
    const killed = await startWorker(url, 'killed');
    const marked = (await gateway.submit(requestFor('for ever'))).job;
    await waitUntil('the job writes', async () => Number((await gateway.get(marked.id))?.lastSeq) > 2);
    const again = (await gateway.submit(requestFor('300', { onInterrupt: 'requeue' }))).job;
    await waitUntil('the job runs', async () => (await gateway.get(again.id))?.state === 'running');
    await kill(killed);

    const frozen = await startWorker(url, 'frozen');
    const stolen = (await gateway.submit(requestFor('300', { onInterrupt: 'requeue' }))).job;
    await waitUntil('the job writes', async () => Number((await gateway.get(stolen.id))?.lastSeq) > 2);
    frozen.kill('SIGSTOP');

    await startWorker(url, 'healthy');
    const lost = await allEvents(gateway, marked.id);
    assertWhole(lost, 1);
    const record = await gateway.get(marked.id);
    assert.deepEqual([record?.state, record?.output, record?.error?.code], ['interrupted', 'killed:', 'interrupted']);
    for (const { id } of [again, stolen]) {
      await waitUntil('another worker has claimed it', async () => Number((await gateway.get(id))?.attempt) === 2);
    }
    frozen.kill('SIGCONT');
    for (const { id } of [again, stolen]) {
      const events = await allEvents(gateway, id);
      assertWhole(events, 2);
      const done = await gateway.get(id);
      assert.deepEqual([done?.state, done?.result, done?.attempt], ['completed', 'healthy', 2]);
      // After the second start, the first worker wrote nothing.
      const second = events.findLastIndex((event) => event.type === 'state' && event.state === 'running');
      assert.match(String(done?.output), /^healthy:0 1 /);
      assert.ok(events.slice(second).every((event) => event.type !== 'text' || !event.text.includes('frozen')));
    }
  });

  test('nothing is lost and nothing runs twice while PostgreSQL restarts under load', async () => {
    const { url } = await postgres.createDatabase();
    const gateway = await startGateway(url);
    await startWorker(url, 'w1');
    await startWorker(url, 'w2');
    const ids: string[] = [];
    for (let at = 0; at < 12; at += 1) ids.push((await gateway.submit(requestFor('100'))).job.id);
    const followed = ids.map((id) => followThrough(gateway, id));
    const running = async () => (await gateway.list({ limit: 200, state: 'running' })).jobs.length;
    await waitUntil('some jobs run', async () => (await running()) >= 2);
    await postgres.restart();
    for (const events of await Promise.all(followed)) assertWhole(events, 1);
    for (const id of ids) {
      const job = await gateway.get(id);
      assert.deepEqual([job?.state, job?.attempt, job?.output.split(' ').length], ['completed', 1, 101]);
    }
  });
});

/** Follows as a client does that reconnects with the number of its last event. */
async function followThrough(jobs: Jobs, id: string): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for (;;) {
    try {
      for await (const event of jobs.events(id, { after: events.length, signal: never })) events.push(event);
      return events;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
