/** Background work of an agent: its results answer no question, and it ends with its run. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import type { MessagesRequest } from '../../src/fake-model/messages-api.ts';
import { unsealed, withoutBubblewrap } from '../support/bubblewrap.ts';
import { runJob } from '../support/http-jobs.ts';
import { askFor, type Script, startScriptedService } from '../support/scripted-agent.ts';
import { processesOf } from '../support/server-process.ts';
import { ask, faultAgent, startFakeModelService, startTestService, type TestService } from '../support/service.ts';
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

async function completedJob(service: TestService, prompt: string) {
  const job = await runJob(service, prompt);
  assert.equal(job.status, 'completed', JSON.stringify(job.error));
  return job;
}

test('a job ends with its own answer, and its background command with it', async (t) => {
  const { service, model } = await start(t);
  for (const seconds of [60, 0.1]) {
    assert.equal(
      (await completedJob(service, `${background(seconds)} [[say: JOB ${seconds}]]`)).result,
      `JOB ${seconds}`,
    );
    await waitUntil('every process of the run has ended', async () => (await processesOf(process.pid)).length === 0);
    if (seconds === 60) assert.equal(model.asked().length, 2, 'the model was asked for the job only');
  }
});

describe('a background sub-agent', () => {
  const subAgent = (seconds: number) => {
    const prompt = `[[tool: Bash {"command":"sleep ${seconds}"}]] [[say: SUB]]`;
    return `[[tool: Agent ${JSON.stringify({ description: 'd', prompt, subagent_type: 'general-purpose', run_in_background: true })}]]`;
  };
  const slow = '[[tool: Bash {"command":"for i in 1 2 3; do sleep 1; done"}]]';
  for (const [when, question] of [
    ['before the end of the turn', `${subAgent(0)} ${slow} [[say: MAIN]]`],
    ['after the turn', `${subAgent(1)} [[say: MAIN]]`],
    ['long after the turn', `${subAgent(60)} [[say: MAIN]]`],
  ] as const) {
    test(`that ends ${when} adds nothing to the answer, and nothing is spent after it`, async (t) => {
      const { service, model } = await start(t);
      for (const api of ['/v1', '/openai/v1']) {
        assert.equal(await textOf(await service.post(`${api}/chat/completions`, ask(question))), 'MAIN', api);
        await waitUntil(
          'every process of the run has ended',
          async () => (await processesOf(process.pid)).length === 0,
        );
      }
      assert.equal((await completedJob(service, question)).output, 'MAIN');
      const before = model.asked().length;
      assert.deepEqual(await converse(service, [question, '[[say: NEXT]]']), ['MAIN', 'NEXT']);
      // A notice that comes within the turn is a part of it.
      const own = model.asked().slice(before).filter(isOwnTurn).length;
      if (when !== 'before the end of the turn') assert.equal(own, 0, 'how often the model was asked about the end');
    });
  }
});

/** Whether the last message of a request tells the model of the end of a background task. */
function isOwnTurn({ messages }: MessagesRequest): boolean {
  return JSON.stringify(messages.at(-1)).includes('<task-notification>');
}

describe('a process that detached from the agent has ended after the answer', () => {
  const ways = {
    'with setsid': '(setsid sleep 300 >/dev/null 2>&1 &) ; true',
    'with nohup': 'nohup sleep 300 >/dev/null 2>&1 & true',
    'with a double fork': '( ( sleep 300 >/dev/null 2>&1 & ) & ) ; true',
    'with another name': '(exec -a quiet setsid sleep 300 >/dev/null 2>&1 &) ; true',
    'with an empty environment': '(env -i setsid sleep 300 >/dev/null 2>&1 &) ; true',
  };
  for (const SANDBOX of ['off', 'auto'] as const) {
    for (const [way, command] of Object.entries(ways)) {
      // Without a sandbox a process with an empty environment and no parent of ours cannot be known.
      const skip = SANDBOX === 'auto' ? withoutBubblewrap : way === 'with an empty environment';
      test(`${way}, SANDBOX=${SANDBOX}`, { skip }, async (t) => {
        const { service } = await startFakeModelService(t, { AGENT_ACCESS: 'full', SANDBOX });
        const question = `[[tool: Bash ${JSON.stringify({ command })}]] [[say: LEFT]]`;
        for (const api of ['/v1', '/openai/v1']) {
          assert.equal(await textOf(await service.post(`${api}/chat/completions`, ask(question))), 'LEFT');
          await waitUntil(`${api}: the process has ended`, async () => (await detached()).length === 0);
        }
        assert.equal((await completedJob(service, question)).output, 'LEFT');
        assert.deepEqual(await detached(), [], 'the processes of a job end before its record says that it has ended');
      });
    }
  }
});

/** The processes on this machine that sleep for 300 s: only these tests start them. */
async function detached(): Promise<number[]> {
  const pids = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  return pids.filter((pid) => commandOf(pid).endsWith('sleep\x180\0') || commandOf(pid) === 'quiet\0sleep\x180\0');
}

describe('a turn that the agent begins by itself, before and after the turn of the client,', () => {
  const script = { unasked: 'NOTICE', say: ['mi', 'ne'] };
  const spent = { prompt_tokens: 3210, completion_tokens: 7 };

  test('adds nothing to a whole answer and its figures', async (t) => {
    const service = await startScriptedService(t);
    const answer = await service.chat('/openai/v1', askFor(script));
    const body = (await answer.json()) as Answer & { usage: Record<string, number>; agent: { cost_usd: number } };
    assert.equal(body.choices[0]?.message.content, 'mine');
    assert.equal(body.agent.cost_usd, 0.25);
    const { prompt_tokens, completion_tokens } = body.usage;
    assert.deepEqual({ prompt_tokens, completion_tokens }, spent);
  });

  test('adds nothing to a stream with all its events', async (t) => {
    const service = await startScriptedService(t);
    const answer = await service.chat('/openai/v1', askFor(script, { stream: true }), {
      'x-agent-events': 'tools,thinking',
    });
    const text = await answer.text();
    assert.doesNotMatch(text, /NOTICE|Bash/);
    assert.match(text, /"content":"mi".*"content":"ne".*\[DONE\]/s);
  });

  test('adds nothing to a job', async (t) => {
    const service = await startScriptedService(t);
    const record = await completedJob(service, `#agent ${JSON.stringify(script)}`);
    assert.deepEqual([record.result, record.output, record.cost_usd], ['mine', 'mine', 0.25]);
    const events = await (await service.get(`/jobs/${record.job_id}/events`)).text();
    assert.doesNotMatch(events, /NOTICE|Bash/);
  });

  test('ends an idle agent, and the follow-up is served by another', async (t) => {
    const cases: [Script, number][] = [
      [script, 2],
      [{ say: ['mine'] }, 1],
    ];
    for (const [first, starts] of cases) {
      // With one slot, the follow-up waits until the agent is idle.
      const service = await startScriptedService(t, { MAX_CONCURRENT_RUNS: '1' });
      const [question] = askFor(first).messages;
      assert.equal(await textOf(await service.chat('/openai/v1', askFor(first))), 'mine');
      if (starts === 2)
        await waitUntil('the agent has ended', async () => (await processesOf(process.pid)).length === 0);
      const messages = [question, { role: 'assistant', content: 'mine' }, ...askFor({ say: ['next'] }).messages];
      assert.equal(await textOf(await service.chat('/openai/v1', { model: 'haiku', messages })), 'next');
      assert.equal(service.starts().length, starts);
      await service.close(0);
    }
  });

  test('of an agent without marks is left out by its result', async (t) => {
    const service = await startTestService(t, { CLAUDE_BIN: faultAgent('notices'), SANDBOX: 'off' });
    for (const api of ['/v1', '/openai/v1'] as const) {
      assert.equal(await textOf(await service.post(`${api}/chat/completions`, ask('hi'))), 'mine', api);
    }
  });
});
