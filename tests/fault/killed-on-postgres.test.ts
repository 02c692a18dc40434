/** A gateway and two workers on one PostgreSQL are killed one after the other, and PostgreSQL restarts: no job is lost. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { scratchFolder } from '../support/fake-model-agent.ts';
import { reportFault } from '../support/fault-report.ts';
import { postgresMissing, startPostgres } from '../support/postgres.ts';
import { type ServerProcess, startServerProcess } from '../support/server-process.ts';
import { testToken } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

const kills = Number(process.env['KILLS'] ?? 6);
const exclusiveAgent = fileURLToPath(new URL('../support/agents/exclusive', import.meta.url));
const roles = ['worker', 'gateway', 'worker'] as const;

type Job = { job_id: string; status: string; prompt: string; on_interrupt: string };

function askFor(server: ServerProcess, path: string): Promise<Response> {
  return fetch(server.url + path, { headers: { authorization: `Bearer ${testToken}` } });
}

async function jobOf(server: ServerProcess, id: string): Promise<Job | undefined> {
  const answer = await askFor(server, `/jobs/${id}`).catch(() => undefined);
  return answer?.ok ? ((await answer.json()) as Job) : undefined;
}

/** Machines of one cluster, each with a data folder of its own. */
async function startCluster(t: TestContext, url: string, notes: string) {
  const folders = await Promise.all(roles.map(() => scratchFolder(t)));
  const start = (at: number) => {
    const settings = {
      ROLE: roles[at] ?? 'all',
      DATABASE_URL: url,
      CLAUDE_BIN: exclusiveAgent,
      SANDBOX: 'off',
      AGENT_ENV: 'AGENT_NOTES',
      AGENT_NOTES: notes,
      MAX_JOB_ATTEMPTS: '100',
      WORKER_TIMEOUT_SECONDS: '15',
    };
    return startServerProcess(t, settings, folders[at]);
  };
  const machines = await Promise.all(roles.map((_, at) => start(at)));
  return {
    gateway: () => machines[1] as ServerProcess,
    async killAndRestart(at: number): Promise<void> {
      const machine = machines[at] as ServerProcess;
      machine.child.kill('SIGKILL');
      await machine.exited;
      machines[at] = await start(at);
    },
  };
}

test('every acknowledged job ends, when any machine is killed and when PostgreSQL restarts', {
  skip: process.env['CI'] ? false : (postgresMissing() ?? false),
}, async (t) => {
  const postgres = await startPostgres();
  t.after(() => postgres.stop());
  const notes = await scratchFolder(t);
  const cluster = await startCluster(t, (await postgres.createDatabase()).url, notes);
  const acknowledged: string[] = [];
  for (let round = 0; round < kills; round += 1) {
    for (let job = 0; job < 4; job += 1) {
      const body = { prompt: `job-${round}-${job}`, on_interrupt: job % 2 === 0 ? 'requeue' : 'mark' };
      const answer = await cluster.gateway().post('/execute', body);
      assert.equal(answer.status, 202, await answer.clone().text());
      acknowledged.push(((await answer.json()) as Job).job_id);
    }
    // A random moment: some jobs run, others wait.
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 300));
    await cluster.killAndRestart(round % roles.length);
    if (round === Math.floor(kills / 2)) await postgres.restart();
  }
  const jobs = await waitUntil(
    'every job has ended',
    async () => {
      const found = await Promise.all(acknowledged.map((id) => jobOf(cluster.gateway(), id)));
      const ended = found.filter((job) => job && ['completed', 'interrupted'].includes(job.status)) as Job[];
      return ended.length === acknowledged.length && ended;
    },
    300_000,
  );
  for (const job of jobs) {
    if (job.on_interrupt === 'requeue')
      assert.equal(job.status, 'completed', `${job.prompt} was to be requeued until it completed`);
    const events = await (await askFor(cluster.gateway(), `/jobs/${job.job_id}/events`)).text();
    const numbers = [...events.matchAll(/^id: (\d+)$/gm)].map(([, seq]) => Number(seq));
    const wanted = numbers.map((_, at) => at + 1);
    assert.deepEqual(numbers, wanted, `the events of ${job.prompt} have no gap`);
  }
  assert.ok(!existsSync(join(notes, 'doubles')), 'no job ran twice at once');
  const fault = 'SIGKILL of a gateway or a worker, and one restart of PostgreSQL';
  reportFault(t, { fault, times: kills + 1, acknowledged: acknowledged.length, lost: 0, doubled: 0, left: 0 });
});
