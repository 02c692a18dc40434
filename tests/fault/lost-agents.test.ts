/** Agents that die or freeze while they wait for a run: the run goes to another agent, and costs nothing twice. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { runJob } from '../support/http-jobs.ts';
import { processesOf } from '../support/server-process.ts';
import { startFakeModelService, type TestService } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

const agentsOf = () => processesOf(process.pid);

async function signalAgents(signal: 'SIGSTOP' | 'SIGKILL'): Promise<number[]> {
  const agents = await agentsOf();
  for (const pid of agents) process.kill(pid, signal);
  return agents;
}

async function textOf(
  service: TestService,
  messages: { role: string; content: string }[],
  stream: boolean,
): Promise<string> {
  const answer = await service.post('/openai/v1/chat/completions', { model: 'haiku', messages, stream });
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  if (!stream)
    return (JSON.parse(text) as { choices: { message: { content: string } }[] }).choices[0]?.message.content ?? '';
  assert.match(text, /\[DONE\]/);
  return [...text.matchAll(/"content":"([^"]*)"/g)].map(([, part]) => part).join('');
}

async function jobText(service: TestService, prompt: string): Promise<string> {
  const record = await runJob(service, prompt);
  assert.equal(record.status, 'completed', JSON.stringify(record.error));
  return record.output;
}

const user = (content: string) => ({ role: 'user', content });

/** The CPU time of a process, in clock ticks. */
function cpuOf(pid: number): number {
  try {
    const [, fields = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
    const [user, system] = fields.split(' ').slice(11, 13).map(Number);
    return (user ?? 0) + (system ?? 0);
  } catch {
    return 0;
  }
}

async function startPrewarmed(t: TestContext) {
  const started = await startFakeModelService(t, { PREWARMED_AGENTS: '1', IDLE_AGENTS: '0', MAX_CONCURRENT_RUNS: '1' });
  // The limit for an agent that is still starting is longer, so the test waits until it does nothing more.
  let before = '';
  await waitUntil('an agent is prewarmed', async () => {
    const ticks = (await agentsOf()).map(cpuOf);
    const spent = ticks.join();
    const isSettled = Math.max(...ticks) > 20 && spent === before;
    before = spent;
    return isSettled;
  });
  return started;
}

for (const signal of ['SIGSTOP', 'SIGKILL'] as const) {
  describe(`after ${signal}`, () => {
    for (const stream of [false, true]) {
      test(`a prewarmed agent is replaced for a chat${stream ? ' that is streamed' : ''}`, async (t) => {
        const { service, model } = await startPrewarmed(t);
        const lost = await signalAgents(signal);
        assert.equal(await textOf(service, [user('[[say: here]]')], stream), 'here');
        assert.equal(model.asked().length, 1, 'the model was asked once');
        await waitUntil('the lost agent is gone', async () => !(await agentsOf()).some((pid) => lost.includes(pid)));
      });

      test(`an idle agent is replaced for a follow-up${stream ? ' that is streamed' : ''}`, async (t) => {
        const { service, model } = await startFakeModelService(t);
        const first = [user('[[say: one]]')];
        assert.equal(await textOf(service, first, stream), 'one');
        await waitUntil('the agent is idle', async () => (await agentsOf()).length > 0);
        const lost = await signalAgents(signal);
        const next = [...first, { role: 'assistant', content: 'one' }, user('[[say: two]]')];
        assert.equal(await textOf(service, next, stream), 'two');
        assert.equal(model.asked().length, 2, 'the model was asked once for each turn');
        await waitUntil('the lost agent is gone', async () => !(await agentsOf()).some((pid) => lost.includes(pid)));
      });
    }

    test('a prewarmed agent is replaced for a job', async (t) => {
      const { service, model } = await startPrewarmed(t);
      await signalAgents(signal);
      assert.equal(await jobText(service, '[[say: worked]]'), 'worked');
      assert.equal(model.asked().length, 1);
    });

    test('an idle agent is replaced for a new conversation', async (t) => {
      const { service } = await startFakeModelService(t, { RESET_AGENTS: 'on' });
      assert.equal(await textOf(service, [user('[[say: one]]')], false), 'one');
      await signalAgents(signal);
      assert.equal(await textOf(service, [user('[[say: other]]')], false), 'other');
    });
  });
}

test('an agent that dies after it has asked the model is not replaced', async (t) => {
  const { service, model } = await startFakeModelService(t, { IDLE_AGENTS: '1' });
  assert.equal(await textOf(service, [user('[[say: one]]')], false), 'one');
  const next = [user('[[say: one]]'), { role: 'assistant', content: 'one' }, user('[[say: begun]] [[stall]]')];
  const answer = service.post('/openai/v1/chat/completions', { model: 'haiku', messages: next });
  await waitUntil('the model is asked', () => Promise.resolve(model.asked().length === 2));
  await signalAgents('SIGKILL');
  assert.equal((await answer).status, 503);
  assert.equal(model.asked().length, 2, 'no other agent has asked the model again');
});
