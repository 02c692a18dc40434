/** Responses of the model that break off or go on in a new message: every kind of answer says the same. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { runJob } from '../support/http-jobs.ts';
import { activeRuns } from '../support/scripted-agent.ts';
import { ask, startFakeModelService, type TestService } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

type Case = {
  script: string;
  /** The whole answer: everything since the last tool call. */
  answer: string;
  /**
   * The text of a stream. `void` if the stream may have sent a text that is void: it then ends with an error. The CLI
   * does not always print such a text; the stream is then the answer.
   */
  streamed?: string;
  /** The text of a job. */
  output?: string;
};

const tool = '[[say: before]] [[tool: Bash {"command":"true"}]]';

const cases: Case[] = [
  { script: '[[say: ha]] [[stop: max_tokens]] [[say: lf]]', answer: 'half' },
  { script: '[[say: one]] [[say: two]]', answer: 'onetwo' },
  { script: '[[say: one]] [[cut]] [[say: two]]', answer: 'onetwo' },
  { script: '[[say: one]] [[unended]] [[say: two]]', answer: 'onetwo' },
  { script: '[[say: one]] [[error: 529x1 overloaded_error x]] [[say: two]]', answer: 'onetwo' },
  { script: '[[cut: partial]] [[say: whole]]', answer: 'whole', streamed: 'void' },
  { script: '[[unended: partial]] [[say: whole]]', answer: 'whole', streamed: 'void' },
  { script: '[[say: kept]] [[unended: partial]] [[say: whole]]', answer: 'keptwhole', streamed: 'void' },
  {
    script: `${tool} [[say: ha]] [[stop: max_tokens]] [[say: lf]]`,
    answer: 'half',
    streamed: 'before\n\nhalf',
    output: 'beforehalf',
  },
  {
    script: `${tool} [[unended: partial]] [[say: whole]]`,
    answer: 'whole',
    streamed: 'void',
    output: 'beforewhole',
  },
];

function start(t: TestContext) {
  return startFakeModelService(t, { AGENT_ACCESS: 'full', SANDBOX: 'off' });
}

async function wholeText(service: TestService, api: string, question: string): Promise<string> {
  const answer = await service.post(`${api}/chat/completions`, ask(question));
  const body = (await answer.json()) as { choices: { message: { content: string } }[] };
  assert.equal(answer.status, 200, JSON.stringify(body));
  return body.choices[0]?.message.content ?? '';
}

type Chunk = { choices?: { delta: { content?: string } }[]; error?: { message: string; code: string } };

async function stream(service: TestService, question: string) {
  const answer = await service.post('/openai/v1/chat/completions', ask(question, { stream: true }));
  const frames = (await answer.text()).split('\n\n').filter(Boolean);
  const data = frames.map((frame) => frame.replace(/^data: /, ''));
  const chunks = data.filter((text) => text !== '[DONE]').map((text) => JSON.parse(text) as Chunk);
  return {
    text: chunks.map((chunk) => chunk.choices?.[0]?.delta.content ?? '').join(''),
    error: chunks.find(({ error }) => error)?.error,
    done: data.at(-1) === '[DONE]',
  };
}

async function job(service: TestService, prompt: string) {
  const record = await runJob(service, prompt);
  const events = await (await service.get(`/jobs/${record.job_id}/events`)).text();
  return { ...record, events: textOfEvents(events) };
}

/** The text that a reader of the job's events puts together. */
function textOfEvents(events: string): string {
  let text = '';
  for (const [, json = ''] of events.matchAll(/^data: (.*)$/gm)) {
    const event = JSON.parse(json) as { type: string; text: string; length: number };
    if (event.type === 'text') text += event.text;
    if (event.type === 'text_dropped') text = text.slice(0, text.length - event.length);
  }
  return text;
}

describe('the answer is the same, whole and streamed, and in a job', () => {
  for (const { script, answer, streamed = answer, output = answer } of cases) {
    test(script, async (t) => {
      const { service } = await start(t);
      // The script is different in each request, because the fake model breaks off only once for the same text.
      for (const api of ['/v1', '/openai/v1'])
        assert.equal(await wholeText(service, api, `${api} ${script}`), answer, api);
      const { text, error, done } = await stream(service, `streamed ${script}`);
      if (streamed === 'void' && error) {
        assert.equal(error?.code, 'model_unavailable');
        assert.match(error?.message ?? '', /broke off/);
        assert.equal(done, false);
      } else {
        assert.deepEqual([text, error, done], [streamed === 'void' ? answer : streamed, undefined, true]);
      }
      await waitUntil('no run is active', async () => (await activeRuns(service)) === 0);
      const record = await job(service, `job ${script}`);
      assert.deepEqual(
        [record.status, record.result, record.output, record.events],
        ['completed', answer, output, output],
      );
    });
  }
});
