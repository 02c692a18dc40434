/** A server is killed repeatedly while jobs wait, run and finish: no job that it acknowledged is lost. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { scratchFolder } from '../support/fake-model-agent.ts';
import { reportFault } from '../support/fault-report.ts';
import { type ServerProcess, startServerProcess } from '../support/server-process.ts';
import { testToken } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

const kills = Number(process.env['KILLS'] ?? 6);
const exclusiveAgent = fileURLToPath(new URL('../support/agents/exclusive', import.meta.url));

type Job = { job_id: string; status: string; prompt: string; on_interrupt: string; attempt: number };

async function get<T>(server: ServerProcess, path: string): Promise<T> {
  const answer = await fetch(server.url + path, { headers: { authorization: `Bearer ${testToken}` } });
  assert.equal(answer.status, 200, path);
  return (await answer.json()) as T;
}

async function eventNumbers(server: ServerProcess, id: string): Promise<number[]> {
  const answer = await fetch(`${server.url}/jobs/${id}/events`, { headers: { authorization: `Bearer ${testToken}` } });
  return [...(await answer.text()).matchAll(/^id: (\d+)$/gm)].map(([, seq]) => Number(seq));
}

/** Submits jobs until the server is killed, `aliveMs` after the first acknowledgement. Returns the ids of the acknowledged jobs. */
async function submitUntilKilled(server: ServerProcess, round: number, aliveMs: number): Promise<string[]> {
  const acknowledged: string[] = [];
  for (let job = 0; job < 4; job += 1) {
    const body = { prompt: `job-${round}-${job}`, on_interrupt: job % 2 === 0 ? 'requeue' : 'mark' };
    const answer = await server.post('/execute', body).catch(() => undefined);
    if (!answer) break;
    const { job_id } = (await answer.json().catch(() => ({}))) as { job_id?: string };
    if (job_id) acknowledged.push(job_id);
    if (job === 0) setTimeout(() => server.child.kill('SIGKILL'), aliveMs);
  }
  await server.exited;
  return acknowledged;
}

async function allProcessesEndOf(server: ServerProcess): Promise<void> {
  await waitUntil('no process of the dead server still runs', async () => {
    return (await server.processes()).length === 0;
  });
}

async function killOverAndOver(t: TestContext, settings: Record<string, string>): Promise<void> {
  const notes = await scratchFolder(t);
  const dataDir = await scratchFolder(t);
  const all = {
    ...settings,
    CLAUDE_BIN: exclusiveAgent,
    AGENT_ENV: 'AGENT_NOTES',
    AGENT_NOTES: notes,
    MAX_JOB_ATTEMPTS: '100',
  };
  const acknowledged: string[] = [];
  for (let round = 0; round < kills; round += 1) {
    const server = await startServerProcess(t, all, dataDir);
    acknowledged.push(...(await submitUntilKilled(server, round, Math.random() * 700)));
    const next = await startServerProcess(t, all, dataDir);
    await allProcessesEndOf(server);
    next.child.kill('SIGKILL');
    await next.exited;
  }
  const last = await startServerProcess(t, all, dataDir);
  const jobs = await waitUntil(
    'every job has ended',
    async () => {
      const found = await Promise.all(acknowledged.map((id) => get<Job>(last, `/jobs/${id}`)));
      return found.every(({ status }) => ['completed', 'interrupted'].includes(status)) && found;
    },
    300_000,
  );
  assert.ok(acknowledged.length >= kills, 'jobs were acknowledged');
  for (const job of jobs) {
    if (job.on_interrupt === 'requeue')
      assert.equal(job.status, 'completed', `${job.prompt} was to be requeued until it completed`);
    const numbers = await eventNumbers(last, job.job_id);
    assert.deepEqual(
      numbers,
      numbers.map((_, at) => at + 1),
      `the events of ${job.prompt} have no gap`,
    );
  }
  const marked = jobs.filter((job) => job.on_interrupt === 'mark');
  const starts = readFileSync(join(notes, 'starts'), 'utf8').trim().split('\n');
  for (const { prompt } of marked) {
    assert.ok(starts.filter((name) => name === prompt).length <= 1, `${prompt} was started at most once`);
  }
  assert.ok(!existsSync(join(notes, 'doubles')), 'no job ran twice at once');
  const fault = 'SIGKILL at a random time';
  reportFault(t, { fault, times: kills * 2, acknowledged: acknowledged.length, lost: 0, doubled: 0, left: 0 });
}

test('every acknowledged job ends, none runs twice at once, and no agent outlives its server', async (t) => {
  await killOverAndOver(t, { SANDBOX: 'off', MAX_CONCURRENT_RUNS: '2' });
});
