/** A server whose surroundings break for a while: jobs are accepted meanwhile, and all of them complete afterwards. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { JobJson } from '../../src/api/jobs/render-job.ts';
import { scratchFolder } from './fake-model-agent.ts';
import { scriptedAgent } from './scripted-agent.ts';
import { type ServerProcess, startServerProcess } from './server-process.ts';
import { ask, testToken } from './service.ts';
import { waitUntil } from './wait-until.ts';

/** How many jobs each outage meets. `npm run faults` sets more. */
export const outageJobs = Number(process.env['OUTAGE_JOBS'] ?? 8);

/** An agent command that can be broken in several ways while a server uses it. */
export type BreakableAgent = {
  command: string;
  notes: string;
  break(how: 'missing' | 'forbidden' | 'signed_out' | 'killed' | 'broken'): void;
  repair(): void;
};

export async function breakableAgent(t: TestContext): Promise<BreakableAgent> {
  const folder = await scratchFolder(t);
  const command = join(folder, 'claude');
  const state = join(folder, 'state');
  const notes = join(folder, 'notes');
  const noLogin = { loggedIn: false };
  const refused = {
    ...{ type: 'result', subtype: 'success', is_error: true, num_turns: 1, session_id: 's', total_cost_usd: 0 },
    ...{ api_error_status: 401, result: 'Not logged in · Please run /login' },
  };
  writeFileSync(
    command,
    `#!/bin/sh
case "$(cat ${state})/$1" in
  signed_out/auth) echo '${JSON.stringify(noLogin)}'; exit 1;;
  signed_out/*) read -r line; echo '${JSON.stringify(refused)}'; exit 1;;
  killed/*) kill -SEGV $$;;
  broken/*) echo "Error: Cannot find module './cli.js'" >&2; exit 1;;
esac
exec ${process.execPath} ${scriptedAgent} "$@"
`,
    { mode: 0o755 },
  );
  const repair = () => {
    if (existsSync(`${command}.away`)) renameSync(`${command}.away`, command);
    chmodSync(command, 0o755);
    writeFileSync(state, 'ok');
  };
  repair();
  return {
    command,
    notes,
    repair,
    break(how) {
      if (how === 'missing') renameSync(command, `${command}.away`);
      else if (how === 'forbidden') chmodSync(command, 0o644);
      else writeFileSync(state, how);
    },
  };
}

export type AcknowledgedJob = { id: string; prompt: string };

export type Outage = {
  server: ServerProcess;
  agent: BreakableAgent;
  /** Submits jobs. Returns those that were acknowledged. */
  submit(count: number): Promise<AcknowledgedJob[]>;
  get<T = JobJson>(path: string): Promise<{ status: number; body: T }>;
  /** The number of lines in the log with this message. */
  logged(message: string): number;
  metric(name: string): Promise<number | undefined>;
  chat(api: '/v1' | '/openai/v1', prompt?: string): Promise<Response>;
};

/** Starts a server on a breakable agent. */
export async function startForOutage(
  t: TestContext,
  settings: Record<string, string> = {},
  start: (settings: Record<string, string>) => Promise<ServerProcess> = (all) => startServerProcess(t, all),
): Promise<Outage> {
  const agent = await breakableAgent(t);
  const server = await start({
    CLAUDE_BIN: agent.command,
    AGENT_ENV: 'AGENT_NOTES',
    AGENT_NOTES: agent.notes,
    SANDBOX: 'off',
    LOG_LEVEL: 'info',
    MAX_CONCURRENT_RUNS: '2',
    ...settings,
  });
  const headers = { authorization: `Bearer ${testToken}` };
  return {
    server,
    agent,
    async submit(count) {
      const one = async () => {
        const prompt = `Job ${randomUUID()}`;
        // A server without a free file descriptor closes connections, and acknowledges nothing then.
        const answer = await server.post('/execute', { prompt }).catch(() => undefined);
        if (answer?.status !== 202) return [];
        return [{ id: ((await answer.json()) as { job_id: string }).job_id, prompt }];
      };
      return (await Promise.all(Array.from({ length: count }, one))).flat();
    },
    async get(path) {
      const answer = await patientFetch(server.url + path, headers);
      return { status: answer.status, body: (await answer.json()) as never };
    },
    logged: (message) => server.stderr().split(`"msg":"${message}"`).length - 1,
    async metric(name) {
      const text = await (await patientFetch(`${server.url}/metrics`, headers)).text();
      const [, value] = new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text) ?? [];
      return value === undefined ? undefined : Number(value);
    },
    chat: (api, prompt = 'Hello') => server.post(`${api}/chat/completions`, ask(prompt)),
  };
}

/** Repeats a request whose connection is closed before it has an answer. */
function patientFetch(url: string, headers: Record<string, string>): Promise<Response> {
  return waitUntil('the server answers', () => fetch(url, { headers }).catch(() => undefined));
}

/** Waits until all jobs have completed, and checks that each agent received its prompt once. */
export async function allComplete({ get, agent }: Outage, jobs: { id: string; prompt?: string }[]): Promise<void> {
  await waitUntil(
    'all jobs have ended',
    async () => {
      for (const { id } of jobs) {
        const { status, body } = await get(`/jobs/${id}`);
        if (status !== 200 || body.status === 'queued' || body.status === 'running') return false;
        assert.equal(body.status, 'completed', JSON.stringify(body.error));
      }
      return true;
    },
    300_000,
  );
  const received = readFileSync(agent.notes, 'utf8');
  for (const { prompt } of jobs.filter(({ prompt }) => prompt !== undefined))
    assert.equal(received.split(`"${prompt}"`).length - 1, 1, `${prompt} was done once`);
}
