/** What a server needs breaks for a while: it says so at once, everything else goes on, and no job is lost. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { ErrorCode } from '../../src/errors.ts';
import { scratchFolder } from '../support/fake-model-agent.ts';
import { reportFault } from '../support/fault-report.ts';
import { makeClone, makeSandbox } from '../support/git-repositories.ts';
import { promptFor } from '../support/http-jobs.ts';
import { allComplete, type Outage, outageJobs, startForOutage } from '../support/outage.ts';
import { postgresMissing, startPostgres } from '../support/postgres.ts';
import { startServerProcess } from '../support/server-process.ts';
import { waitUntil } from '../support/wait-until.ts';

/** Every acknowledged job has completed, after its agent was asked once. `allComplete` has checked that. */
function report(t: TestContext, fault: string, acknowledged: number): void {
  reportFault(t, { fault, times: 1, acknowledged, lost: 0, doubled: 0, left: 0 });
}

/** Breaks something, submits jobs, checks that the server says why they wait, repairs it, and waits for all jobs. */
async function outlast(
  t: TestContext,
  outage: Outage,
  { fault, code, breakIt, repair }: { fault: string; code: ErrorCode; breakIt(): void; repair(): void },
): Promise<void> {
  const { submit, get, metric, logged } = outage;
  const before = await submit(outageJobs);
  breakIt();
  const jobs = [...before, ...(await submit(outageJobs))];
  await waitUntil('/ready says what is broken', async () => (await get('/ready')).status === 503);
  await waitUntil('the metric shows it', async () => (await metric('agent_jobs_held')) === 1);
  const waiting = await waitUntil('a job says why it waits', async () => {
    for (const { id } of jobs) {
      const { body } = await get(`/jobs/${id}`);
      // A job that was being started at that moment may have another cause.
      if (body.waiting_for?.code === code) return body.waiting_for;
    }
    return undefined;
  });
  assert.equal(waiting.code, code);
  await waitUntil('the log says it', () => logged('jobs wait until the cause of an error is gone') >= 1);
  repair();
  await allComplete(outage, jobs);
  report(t, fault, jobs.length);
  await waitUntil('/ready is 200 again', async () => (await get('/ready')).status === 200);
  await waitUntil('the metric is gone', async () => (await metric('agent_jobs_held')) === undefined);
  await waitUntil('the log says that jobs start again', () => {
    return logged('jobs start again') === logged('jobs wait until the cause of an error is gone');
  });
}

describe('Jobs outlast', { concurrency: 2 }, () => {
  for (const [how, code] of [
    ['missing', 'agent_not_started'],
    ['forbidden', 'agent_not_started'],
    ['killed', 'agent_failed'],
    ['broken', 'agent_failed'],
    ['signed_out', 'not_signed_in'],
  ] as const) {
    test(`an agent command that is ${how} for a while`, async (t) => {
      const outage = await startForOutage(t);
      const { agent } = outage;
      await outlast(t, outage, {
        fault: `agent command ${how}`,
        code,
        breakIt: () => agent.break(how),
        repair: agent.repair,
      });
    });
  }

  test('a required remote that is gone for a while', async (t) => {
    const sandbox = makeSandbox();
    t.after(() => sandbox.remove());
    const { remote, clone } = makeClone(sandbox);
    const outage = await startForOutage(t, { WORKSPACE_DIR: clone, GIT_SYNC: 'required', GIT_SYNC_FRESH_SECONDS: '0' });
    await outlast(t, outage, {
      fault: 'required remote gone',
      code: 'workspace_unavailable',
      breakIt: () => renameSync(remote, `${remote}.away`),
      repair: () => renameSync(`${remote}.away`, remote),
    });
  });

  test('a server without a free file descriptor', {
    skip: process.platform !== 'linux' && 'needs prlimit',
  }, async (t) => {
    const outage = await startForOutage(t);
    const pid = String(outage.server.child.pid);
    const limit = (count: number) => {
      execFileSync('prlimit', ['--pid', pid, `--nofile=${count}:`]);
    };
    const open = () => readdirSync(`/proc/${pid}/fd`).length;
    await outlast(t, outage, {
      fault: 'no free file descriptor',
      code: 'agent_not_started',
      breakIt: () => limit(open() + 1),
      repair: () => limit(1024),
    });
  });
});

describe('Chat goes on without', () => {
  const broken = async (
    t: TestContext,
    outage: Outage,
    { fault, breakIt, repair, why }: { fault: string; breakIt(): void; repair(): void; why: RegExp },
  ) => {
    const { submit, get, metric, logged, chat } = outage;
    const jobs = await submit(outageJobs);
    breakIt();
    await waitUntil('/ready says what is broken', async () => {
      const { status, body } = await get<{ detail: string }>('/ready');
      return status === 503 && why.test(body.detail ?? '');
    });
    assert.equal(await metric('job_store_up'), 0);
    assert.deepEqual([(await get('/ready?for=chat')).status, (await get('/ready?for=jobs')).status], [200, 503]);
    await waitUntil('the jobs that ran have released their slots', async () => {
      return (await get<{ active: number }>('/health')).body.active === 0;
    });
    for (const api of ['/v1', '/openai/v1'] as const) {
      const answers = await Promise.all(Array.from({ length: 2 }, () => chat(api)));
      for (const answer of answers) assert.equal(answer.status, 200, await answer.text());
    }
    const refused = await outage.server.post('/execute', { prompt: 'Hello' });
    assert.deepEqual([refused.status, refused.headers.get('retry-after') !== null], [503, true]);
    assert.equal(logged('the job store cannot be used'), 1);
    repair();
    await allComplete(outage, jobs);
    await waitUntil('/ready is 200 again', async () => (await get('/ready')).status === 200);
    assert.equal(logged('the job store can be used again'), 1);
    report(t, fault, jobs.length);
  };

  test('the file of the job store', async (t) => {
    const outage = await startForOutage(t);
    const file = join(outage.server.dataDir, 'jobs', 'jobs.sqlite');
    const move = (from: string, to: string) => () => renameSync(from, to);
    await broken(t, outage, {
      fault: 'file of the job store removed',
      breakIt: move(file, `${file}.away`),
      repair: move(`${file}.away`, file),
      why: /removed or replaced/,
    });
  });

  test('a PostgreSQL that is frozen', { skip: process.env['CI'] ? false : (postgresMissing() ?? false) }, async (t) => {
    const postgres = await startPostgres();
    t.after(() => postgres.stop());
    const { url } = await postgres.createDatabase();
    const outage = await startForOutage(t, { DATABASE_URL: url });
    const { freeze: breakIt, thaw: repair } = postgres;
    await broken(t, outage, { fault: 'PostgreSQL frozen', breakIt, repair, why: /does not answer/ });
  });
});

test('A server whose database is frozen still ends after the second signal', {
  skip: process.env['CI'] ? false : (postgresMissing() ?? false),
}, async (t) => {
  const postgres = await startPostgres();
  t.after(() => {
    postgres.thaw();
    return postgres.stop();
  });
  const outage = await startForOutage(t, { DATABASE_URL: (await postgres.createDatabase()).url });
  const { server } = outage;
  await server.post('/execute', { prompt: promptFor({ hang: true }) });
  await waitUntil('the job runs', async () => (await outage.get<{ active: number }>('/health')).body.active === 1);
  postgres.freeze();
  server.child.kill('SIGTERM');
  await waitUntil('the signal has arrived', () => server.stdout().includes('stopping'));
  server.child.kill('SIGINT');
  assert.equal(await server.exited, 0);
  assert.deepEqual(await server.processes(), []);
});

const inOwnMounts = ['unshare', ...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']), '--mount'];
const cannotMount = spawnSync(inOwnMounts[0] ?? '', [...inOwnMounts.slice(1), 'mount', '-t', 'tmpfs', 'none', '/mnt']);

test('A full disk loses no job and no acknowledgement, and everything works again when it has space', {
  skip: cannotMount.status !== 0 && 'no file system can be mounted here',
}, async (t) => {
  const dataDir = await scratchFolder(t);
  const mount = ['sh', '-c', 'mount -t tmpfs -o size=8m none "$0" && exec "$@"', dataDir];
  const outage = await startForOutage(t, { GIT_SYNC: 'off' }, (settings) =>
    startServerProcess(t, settings, dataDir, [...inOwnMounts, ...mount]),
  );
  const { server, submit, get, chat, logged } = outage;
  // The mount is only seen by the server.
  const filler = join('/proc', String(server.child.pid), 'root', dataDir, 'filler');
  const jobs = await submit(outageJobs);
  assert.throws(() => writeFileSync(filler, Buffer.alloc(16 * 1024 * 1024)), { code: 'ENOSPC' });
  await waitUntil('/ready says what is broken', async () => (await get('/ready')).status === 503);
  for (const api of ['/v1', '/openai/v1'] as const) {
    const answer = await chat(api);
    const text = await answer.text();
    assert.ok(answer.status === 200 || /agent is busy|ENOSPC|disk is full/.test(text), text);
  }
  const refused = await server.post('/execute', { prompt: 'Hello' });
  assert.match(await refused.text(), /the disk is full/);
  rmSync(filler);
  jobs.push(
    ...(await waitUntil('jobs are accepted again', async () => {
      const more = await submit(1);
      return more.length > 0 && more;
    })),
  );
  await allComplete(outage, jobs);
  await waitUntil('/ready is 200 again', async () => (await get('/ready')).status === 200);
  report(t, 'disk full', jobs.length);
  assert.ok(logged('the job store cannot be used') >= 1);
});
