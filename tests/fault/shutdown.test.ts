/** Signals to the server, and SIGKILL: a run may finish or is ended, and no process is left. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listMarked } from '../../src/processes/process-tree.ts';
import { askFor, makeGate, scriptedAgent } from '../support/scripted-agent.ts';
import { type ServerProcess, startServerProcess } from '../support/server-process.ts';
import { ask, faultAgent } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

async function activeRuns(url: string): Promise<number> {
  return ((await (await fetch(`${url}/health`)).json()) as { active: number }).active;
}

/** Whether an agent of a run is alive. The agent that checks the login at the start of a server does not count. */
async function agentRuns({ child }: ServerProcess): Promise<boolean> {
  const agents = await listMarked((marker) => {
    const [, , serverPid, run] = marker.split(':');
    return serverPid === String(child.pid) && run !== 'sign-in';
  });
  return agents.length > 0;
}

test('the first SIGTERM refuses new work and lets a run finish', async (t) => {
  const gate = await makeGate(t);
  const server = await startServerProcess(t, { CLAUDE_BIN: scriptedAgent, SANDBOX: 'off' });
  const running = server.post('/v1/chat/completions', askFor({ say: ['first'], gate: gate.file }));
  await waitUntil('the run has begun', async () => (await activeRuns(server.url)) === 1);
  server.child.kill('SIGTERM');
  await waitUntil('the signal has arrived', () => server.stdout().includes('stopping'));
  const refused = await server.post('/v1/chat/completions', ask('second'));
  assert.equal(refused.status, 503);
  assert.deepEqual(await refused.json(), {
    error: 'execution failed',
    detail: 'Cannot start: the server is stopping',
  });
  gate.open();
  assert.equal((await running).status, 200);
  assert.equal(await server.exited, 0);
});

test('one Ctrl-C that arrives twice, from the terminal and from npm, still lets a run finish', async (t) => {
  const gate = await makeGate(t);
  const server = await startServerProcess(t, { CLAUDE_BIN: scriptedAgent, SANDBOX: 'off' });
  const running = server.post('/v1/chat/completions', askFor({ say: ['first'], gate: gate.file }));
  await waitUntil('the run has begun', async () => (await activeRuns(server.url)) === 1);
  server.child.kill('SIGINT');
  server.child.kill('SIGINT');
  await waitUntil('the signal has arrived', () => server.stdout().includes('stopping'));
  gate.open();
  assert.equal((await running).status, 200);
  assert.equal(await server.exited, 0);
});

test('the second signal ends runs at once, and no process is left', async (t) => {
  const server = await startServerProcess(t, { CLAUDE_BIN: faultAgent('hangs-with-grandchild') });
  const running = server.post('/v1/chat/completions', ask('first'));
  await waitUntil('the agent runs', () => agentRuns(server));
  server.child.kill('SIGTERM');
  await waitUntil('the signal has arrived', () => server.stdout().includes('stopping'));
  server.child.kill('SIGINT');
  assert.equal((await running).status, 503);
  assert.equal(await server.exited, 0);
  assert.deepEqual(await server.processes(), []);
});

for (const sandbox of ['auto', 'off']) {
  test(`a server killed with SIGKILL has no living agent after its next start (SANDBOX=${sandbox})`, async (t) => {
    const settings = { CLAUDE_BIN: faultAgent('hangs-with-grandchild'), SANDBOX: sandbox };
    const first = await startServerProcess(t, settings);
    const running = first.post('/v1/chat/completions', ask('first'));
    await waitUntil('the agent runs', () => agentRuns(first));
    first.child.kill('SIGKILL');
    await assert.rejects(running);
    await first.exited;
    await startServerProcess(t, settings, first.dataDir);
    await waitUntil('the orphans have ended', async () => (await first.processes()).length === 0);
  });
}
