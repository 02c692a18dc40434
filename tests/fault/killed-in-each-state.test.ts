/** A server is killed while a job is in each of its states: after the next start the job ends as it should, once. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { EventJson } from '../../src/api/jobs/job-event-stream.ts';
import type { JobJson } from '../../src/api/jobs/render-job.ts';
import { scratchFolder } from '../support/fake-model-agent.ts';
import { reportFault } from '../support/fault-report.ts';
import { framesIn } from '../support/http-jobs.ts';
import { readUntil } from '../support/scripted-agent.ts';
import { type ServerProcess, startServerProcess } from '../support/server-process.ts';
import { testToken } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

/** How many times each state meets a kill. `npm run faults` sets more. */
const times = Number(process.env['STATE_KILLS'] ?? 1);
const exclusiveAgent = fileURLToPath(new URL('../support/agents/exclusive', import.meta.url));

type Round = { server: ServerProcess; id: string; body: Record<string, unknown> };

type State = {
  /** Fields of the job. */
  body?: Record<string, unknown>;
  settings?: Record<string, string>;
  /** Called before the job is submitted. */
  before?(server: ServerProcess): Promise<unknown>;
  /** Settles when the job is in the state. */
  reached(round: Round): Promise<unknown>;
  /** How the job ends after the next start, and how many agents may have worked on it in all. */
  end: JobJson['status'];
  starts: [number, number];
};

/** Reads the events of the job until one fits. */
const event = (fits: (name: string, data: EventJson) => boolean) => async (round: Round) => {
  const answer = await fetch(`${round.server.url}/jobs/${round.id}/events`, { headers });
  return readUntil(answer, (text) => framesIn(text).some(({ event, data }) => fits(event, data)));
};
const status = (wanted: string) => event((_name, data) => data.type === 'state' && data.status === wanted);
const headers = { authorization: `Bearer ${testToken}` };
const again = { on_interrupt: 'requeue' };

const states: Record<string, State> = {
  'has just been accepted': { reached: async () => {}, body: again, end: 'completed', starts: [1, 2] },
  'waits for a slot': {
    before: (server) => server.post('/execute', { prompt: 'in-front', ...again }),
    reached: async () => {},
    settings: { MAX_CONCURRENT_RUNS: '1' },
    body: again,
    end: 'completed',
    starts: [1, 2],
  },
  'has been claimed': { reached: status('running'), body: again, end: 'completed', starts: [1, 2] },
  'is worked on': { reached: event((name) => name === 'text'), body: again, end: 'completed', starts: [2, 2] },
  'is worked on, and may run only once': {
    reached: event((name) => name === 'text'),
    end: 'interrupted',
    starts: [1, 1],
  },
  'is being cancelled': {
    async reached(round) {
      await event((name) => name === 'text')(round);
      await fetch(`${round.server.url}/jobs/${round.id}`, { method: 'DELETE', headers });
    },
    body: again,
    end: 'cancelled',
    starts: [1, 1],
  },
  'has ended': { reached: status('completed'), body: again, end: 'completed', starts: [1, 1] },
};

async function killIn(t: TestContext, name: string, state: State): Promise<void> {
  const dataDir = await scratchFolder(t);
  const notes = await scratchFolder(t);
  const received: string[] = [];
  const receiver = createServer((request, response) => {
    received.push(String(request.headers['webhook-id']));
    request.resume().on('end', () => response.end());
  }).listen(0, '127.0.0.1');
  t.after(() => receiver.close());
  await waitUntil('the receiver listens', () => receiver.listening);
  const { port } = receiver.address() as { port: number };
  const settings = {
    ...{ CLAUDE_BIN: exclusiveAgent, AGENT_ENV: 'AGENT_NOTES', AGENT_NOTES: notes, SANDBOX: 'off' },
    ...{ MAX_JOB_ATTEMPTS: '100', CALLBACK_ALLOW_PRIVATE: 'true', ...state.settings },
  };
  const figures = { fault: `SIGKILL while a job ${name}`, times, acknowledged: 0, lost: 0, doubled: 0, left: 0 };
  for (let time = 0; time < times; time += 1) {
    const server = await startServerProcess(t, settings, dataDir);
    await state.before?.(server);
    const prompt = `${time}-job`;
    const body = { prompt, callback_url: `http://127.0.0.1:${port}/`, ...state.body };
    const { job_id: id } = (await (await server.post('/execute', body)).json()) as JobJson;
    figures.acknowledged += 1;
    await state.reached({ server, id, body });
    server.child.kill('SIGKILL');
    await server.exited;
    const next = await startServerProcess(t, settings, dataDir);
    const job = await waitUntil('the job has ended', async () => {
      const answer = await fetch(`${next.url}/jobs/${id}`, { headers });
      assert.equal(answer.status, 200);
      const now = (await answer.json()) as JobJson;
      return now.finished_at !== null && now;
    });
    if (job.status !== state.end) figures.lost += 1;
    await waitUntil('the webhook was sent', () => received.includes(id));
    const starts = startsOf(notes, prompt);
    if (starts > state.starts[1]) figures.doubled += 1;
    assert.ok(starts >= state.starts[0] && starts <= state.starts[1], `${starts} starts`);
    await waitUntil('no process of the dead server still runs', async () => (await server.processes()).length === 0);
    next.child.kill('SIGTERM');
    await next.exited;
    figures.left += (await next.processes()).length + leftFolders(dataDir);
  }
  if (existsSync(join(notes, 'doubles'))) figures.doubled += 1;
  reportFault(t, figures);
  assert.deepEqual([figures.lost, figures.doubled, figures.left], [0, 0, 0]);
}

function startsOf(notes: string, prompt: string): number {
  const file = join(notes, 'starts');
  return existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((name) => name === prompt).length
    : 0;
}

/** Counts what a stopped server has left of its runs: homes of agents and scratch folders. */
function leftFolders(dataDir: string): number {
  const inFolder = (name: string) => (existsSync(join(dataDir, name)) ? readdirSync(join(dataDir, name)).length : 0);
  return inFolder('homes') + inFolder('scratch');
}

describe('After SIGKILL, a job ends once and as it should that', { concurrency: 2 }, () => {
  for (const [name, state] of Object.entries(states)) test(name, (t) => killIn(t, name, state));
});
