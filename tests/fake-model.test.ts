/** The fake model answers the real agent as the Messages API does, by a script, and says that it is one. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startFakeModel } from '../src/fake-model/fake-model.ts';
import { runCommand } from '../src/processes/child-process.ts';
import { type FakeModelAgent, fakeModelAgent, scratchFolder } from './support/fake-model-agent.ts';
import { waitUntil } from './support/wait-until.ts';

type Result = {
  result: string;
  is_error: boolean;
  api_error_status: number | null;
  structured_output?: unknown;
  usage: Record<string, number>;
};

/** Asks the real agent once, as `claude -p` does. */
async function askAgent(agent: FakeModelAgent, cwd: string, prompt: string, flags: string[] = []): Promise<Result> {
  const { stdout, stderr } = await runCommand(
    agent.claudeBin,
    ['-p', '--output-format', 'json', '--model', 'haiku', '--no-session-persistence', ...flags, '--', prompt],
    { cwd, env: { ...agent.environment, CLAUDE_CODE_MAX_RETRIES: '0' }, timeoutMs: 30_000 },
  );
  assert.equal(stderr, '');
  return JSON.parse(stdout.toString('utf8'));
}

async function startedModel(t: TestContext, options = {}) {
  const model = await startFakeModel(options);
  t.after(() => model.close());
  return model;
}

function post(url: string, text: string, fields: object = {}, signal?: AbortSignal): Promise<Response> {
  const body = JSON.stringify({
    model: 'some-model',
    max_tokens: 100,
    messages: [{ role: 'user', content: text }],
    ...fields,
  });
  return fetch(`${url}/v1/messages`, { method: 'POST', body, ...(signal ? { signal } : {}) });
}

type Reply = {
  content: { type: string; text?: string; name?: string }[];
  stop_reason: string;
  usage: Record<'input_tokens' | 'output_tokens', number>;
  error: { type: string; message: string };
  input_tokens: number;
};

async function replyOf(response: Response): Promise<Reply> {
  return (await response.json()) as Reply;
}

type Event = { type: string; delta?: Record<string, unknown>; error?: { type: string } };

/** The data of a stream's events, in order. */
function eventsOf(stream: string): Event[] {
  return stream
    .split('\n\n')
    .filter(Boolean)
    .map((event) => JSON.parse(event.slice(event.indexOf('data: ') + 6)));
}

test('the real agent gets an answer that says it comes from the fake model', async (t) => {
  const agent = await fakeModelAgent(t);
  const answer = await askAgent(agent, await scratchFolder(t), 'What is this repository about?');
  assert.match(answer.result, /fake model, which follows a script: no language model was asked/);
  assert.match(answer.result, /"What is this repository about\?"/);
  assert.equal(agent.model.asked().length, 1);
  const [request] = agent.model.requests;
  assert.equal(request?.headers['x-api-key'], 'fake-model-key');
  assert.ok(request?.body?.tools?.some((tool) => tool.name === 'Bash'));
});

test('a script with tools: the real agent runs them, and the model gets their results', async (t) => {
  const agent = await fakeModelAgent(t);
  const folder = await scratchFolder(t);
  await writeFile(join(folder, 'note.txt'), 'written before');
  const script = '[[tool: Read {"file_path":"note.txt"}]] [[tool: Bash {"command":"echo \\"a ]] b\\""}]]';
  const answer = await askAgent(agent, folder, script);
  assert.equal(answer.result, 'Done. The tool answered: a ]] b');
  assert.match(JSON.stringify(agent.model.asked()[1]?.messages), /written before/);
  assert.equal(agent.model.asked().length, 3);
});

test('the real agent reports a scripted error', async (t) => {
  const agent = await fakeModelAgent(t);
  const answer = await askAgent(agent, await scratchFolder(t), '[[error: 429 rate_limit_error slow down]]');
  assert.equal(answer.is_error, true);
  assert.equal(answer.api_error_status, 429);
  assert.match(answer.result, /slow down/);
});

test('the real agent reports scripted token counts', async (t) => {
  const agent = await fakeModelAgent(t);
  const script = '[[usage: input=10,output=20,cache_read=30,cache_write=40]] [[say: counted]]';
  const { usage } = await askAgent(agent, await scratchFolder(t), script);
  assert.deepEqual([usage['input_tokens'], usage['output_tokens'], usage['cache_read_input_tokens']], [10, 20, 30]);
  assert.equal(usage['cache_creation_input_tokens'], 40);
});

test('structured output: an object that does not fit the schema is rejected, and the next one is taken', async (t) => {
  const agent = await fakeModelAgent(t);
  const schema = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] };
  const script = '[[json: {"n":"three"}]] [[json: {"n":3}]]';
  const answer = await askAgent(agent, await scratchFolder(t), script, ['--json-schema', JSON.stringify(schema)]);
  assert.deepEqual(answer.structured_output, { n: 3 });
  assert.equal(agent.model.asked().length, 2);
});

test('structured output without a script: the object fits its schema', async (t) => {
  const schema = {
    type: 'object',
    properties: {
      city: { $ref: '#/$defs/city' },
      kind: { enum: ['big', 'small'] },
      tags: { type: 'array', items: { type: 'string', minLength: 20 }, minItems: 2 },
      size: { anyOf: [{ type: 'integer', minimum: 7 }, { type: 'null' }] },
    },
    required: ['city', 'kind', 'tags', 'size'],
    additionalProperties: false,
    $defs: { city: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] } },
  };
  const flags = ['--json-schema', JSON.stringify(schema)];
  const { structured_output } = await askAgent(await fakeModelAgent(t), await scratchFolder(t), 'Any city.', flags);
  assert.deepEqual(structured_output, {
    city: { name: 'an example' },
    kind: 'big',
    tags: ['an example..........', 'an example..........'],
    size: 7,
  });
});

test('a script continues where the agent asks the model to continue', async (t) => {
  const agent = await fakeModelAgent(t);
  const folder = await scratchFolder(t);
  const cutOff = await askAgent(agent, folder, '[[say: first]] [[stop: max_tokens]] [[say: second]]');
  assert.equal(cutOff.result, 'second');
  const broken = await askAgent(agent, folder, '[[say: first]] [[error: 529 overloaded_error Busy]] [[say: third]]');
  assert.equal(broken.result, 'third');
});

test('a stream has the events of the Messages API, a word in each delta', async (t) => {
  const model = await startedModel(t);
  const response = await post(model.url, '[[think: let me see]] [[words: 3]]', { stream: true });
  assert.match(response.headers.get('x-fake-model') ?? '', /not a language model/);
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  const events = eventsOf(await response.text());
  const deltas = events.flatMap(({ delta }) => (delta ? [delta] : []));
  assert.deepEqual(
    deltas.map((delta) => delta['text'] ?? delta['thinking'] ?? delta['type'] ?? delta['stop_reason']),
    ['let', ' me', ' see', 'signature_delta', 'w1', ' w2', ' w3', 'end_turn'],
  );
  assert.deepEqual([events[0]?.type, events.at(-1)?.type], ['message_start', 'message_stop']);
});

test('an answer that is not streamed is one message with the same text', async (t) => {
  const model = await startedModel(t);
  const message = await replyOf(await post(model.url, '[[words: 3]] [[tool: Bash {"command":"true"}]]'));
  assert.deepEqual(message.content[0], { type: 'text', text: 'w1 w2 w3' });
  assert.deepEqual([message.content[1]?.name, message.stop_reason], ['Bash', 'tool_use']);
  assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
});

test('errors have their status, are repeated as scripted, and can come inside a stream', async (t) => {
  const model = await startedModel(t);
  const flaky = '[[error: 529x2 overloaded_error Busy]] [[say: recovered]]';
  const first = await post(model.url, flaky);
  assert.deepEqual((await replyOf(first)).error, { type: 'overloaded_error', message: 'Busy' });
  const statuses = [first.status, (await post(model.url, flaky)).status, (await post(model.url, flaky)).status];
  assert.deepEqual(statuses, [529, 529, 200]);
  const late = await post(model.url, '[[say: begun]] [[error: 500 api_error Broken]]', { stream: true });
  assert.equal(eventsOf(await late.text()).at(-1)?.error?.type, 'api_error');
});

test('a refusal has its stop reason and no text', async (t) => {
  const model = await startedModel(t);
  const message = await replyOf(await post(model.url, '[[refuse]]'));
  assert.deepEqual([message.stop_reason, message.content], ['refusal', []]);
});

test('silence and pace only delay', async (t) => {
  const model = await startedModel(t, { firstTokenMs: 1, tokensPerSecond: 500 });
  const response = await post(model.url, '[[silence: 1]] [[say: here]] [[silence: 1]] [[words: 2]]', { stream: true });
  const texts = eventsOf(await response.text()).flatMap(({ delta }) => delta?.['text'] ?? []);
  assert.deepEqual(texts, ['here', 'w1', ' w2']);
});

test('a cut breaks the connection, before an answer and within it', async (t) => {
  const model = await startedModel(t);
  await assert.rejects(post(model.url, '[[cut]]'));
  const begun = await post(model.url, '[[say: begun]] [[cut]]', { stream: true });
  await assert.rejects(begun.text());
});

test('a stall begins and does not end, until the caller leaves or the model closes', async (t) => {
  const model = await startFakeModel();
  const leaving = new AbortController();
  const first = await post(model.url, '[[say: begun]] [[stall]]', { stream: true }, leaving.signal);
  const second = await post(model.url, '[[stall]]', { stream: true });
  leaving.abort();
  await assert.rejects(first.text());
  await model.close();
  await assert.rejects(second.text());
  t.diagnostic('nothing is left open');
});

test('a request without messages gets a JSON answer', async (t) => {
  const model = await startedModel(t);
  assert.equal((await fetch(model.url, { method: 'HEAD' })).status, 200);
  const unknown = await fetch(`${model.url}/v1/elsewhere`);
  assert.deepEqual([unknown.status, (await replyOf(unknown)).error.type], [404, 'not_found_error']);
  const broken = await fetch(`${model.url}/v1/messages`, { method: 'POST', body: '{' });
  assert.deepEqual([broken.status, (await replyOf(broken)).error.type], [400, 'invalid_request_error']);
  const body = JSON.stringify({ messages: [{ role: 'user', content: 'count me' }] });
  const counted = await fetch(`${model.url}/v1/messages/count_tokens`, { method: 'POST', body });
  assert.ok((await replyOf(counted)).input_tokens > 0);
});

test('a script with a mistake is refused, and not answered as a question', async (t) => {
  const model = await startedModel(t);
  for (const slip of [
    '[[sing: la]]',
    '[[words: many]]',
    '[[say: no end',
    '[[tool: Bash {broken}]]',
    '[[error: soon]]',
  ]) {
    assert.equal((await post(model.url, slip)).status, 400, slip);
  }
});

test('only the newest requests are kept', async (t) => {
  const model = await startedModel(t, { remember: 2 });
  for (const text of ['one', 'two', 'three']) await (await post(model.url, text)).text();
  assert.deepEqual(
    model.asked().map(({ messages }) => messages[0]?.content),
    ['two', 'three'],
  );
  await waitUntil('both are kept', () => model.requests.length === 2);
});
