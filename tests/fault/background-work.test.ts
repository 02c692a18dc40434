/** Background work of an agent: its results answer no question, and it ends with its run. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { unsealed } from '../support/bubblewrap.ts';
import { askFor, startScriptedService } from '../support/scripted-agent.ts';
import { processesOf } from '../support/server-process.ts';
import { ask, startFakeModelService, type TestService } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

type Answer = { choices: { message: { content: string } }[] };

async function textOf(answer: Response): Promise<string> {
  const body = (await answer.json()) as Answer;
  assert.equal(answer.status, 200, JSON.stringify(body));
  return body.choices[0]?.message.content ?? '';
}

function start(t: TestContext) {
  return startFakeModelService(t, { AGENT_ACCESS: 'full', RESET_AGENTS: 'on', ...unsealed });
}

const background = (seconds: number) => `[[tool: Bash {"command":"sleep ${seconds}","run_in_background":true}]]`;

/** Asks the questions one after the other, each with the conversation so far. Returns the answers. */
async function converse(service: TestService, questions: string[]): Promise<string[]> {
  const messages: { role: string; content: string }[] = [];
  for (const question of questions) {
    messages.push({ role: 'user', content: question });
    const text = await textOf(await service.post('/openai/v1/chat/completions', { model: 'haiku', messages }));
    messages.push({ role: 'assistant', content: text });
  }
  return messages.filter(({ role }) => role === 'assistant').map(({ content }) => content);
}

for (const api of ['/v1', '/openai/v1']) {
  test(`${api}: the answer is the one to the question, not the text that follows the end of a background command`, async (t) => {
    const { service, model } = await start(t);
    const post = (question: string) => service.post(`${api}/chat/completions`, ask(question));
    for (const seconds of [0.1, 0.5, 60]) {
      assert.equal(await textOf(await post(`${background(seconds)} [[say: REAL ${seconds}]]`)), `REAL ${seconds}`);
    }
    await waitUntil('every command of the runs has ended', async () => (await sleeping()).length === 0);
    const asked = model.asked().length;
    assert.equal(await textOf(await post('[[say: NEXT]]')), 'NEXT');
    assert.equal(model.asked().length, asked + 1, 'the model was asked once, for the next question');
  });
}

test('each turn of a conversation gets its own answer while background commands end between and during the turns', async (t) => {
  const { service } = await start(t);
  const slow = '[[tool: Bash {"command":"sleep 2"}]]';
  const answers = await converse(service, [`${background(1)} [[say: ONE]]`, `${slow} [[say: TWO]]`, '[[say: THREE]]']);
  assert.deepEqual(answers, ['ONE', 'TWO', 'THREE']);
});

test('a process that outlives its command ends with the run', async (t) => {
  const { service } = await start(t);
  const question = '[[tool: Bash {"command":"(setsid sleep 300 >/dev/null 2>&1 &) ; true"}]] [[say: LEFT]]';
  assert.deepEqual(await converse(service, [question, '[[say: AFTER]]']), ['LEFT', 'AFTER']);
  await waitUntil('the process has ended', async () => (await sleeping()).length === 0);
});

/** The `sleep` commands of this server's agents. */
async function sleeping(): Promise<number[]> {
  return (await processesOf(process.pid)).filter((pid) => commandOf(pid).startsWith('sleep\0'));
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

test('a job ends with its own answer, and its background command with it', async (t) => {
  const { service } = await start(t);
  const prompt = `${background(60)} [[say: JOB]]`;
  const { job_id } = (await (await service.post('/execute', { prompt })).json()) as { job_id: string };
  const job = await waitUntil('the job has ended', async () => {
    const record = (await (await service.get(`/jobs/${job_id}`)).json()) as { status: string; result: string };
    return record.status === 'completed' ? record : undefined;
  });
  assert.equal(job.result, 'JOB');
  await waitUntil('every command of the run has ended', async () => (await sleeping()).length === 0);
});

test('a result that answers no line is ignored', async (t) => {
  const service = await startScriptedService(t);
  for (const api of ['/v1', '/openai/v1'] as const) {
    const answer = await service.chat(api, askFor({ unasked: 'a notice', say: ['mine'] }));
    assert.equal(await textOf(answer), 'mine');
  }
});
