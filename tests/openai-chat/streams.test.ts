/** Streamed answers: every rule of the published clients' parsers, and the end of a stream whose run fails. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { requirement } from '../contract/requirements.ts';
import { assertPublished } from '../support/published-schemas.ts';
import { rawConnection, rawRequest } from '../support/raw-http.ts';
import {
  activeRuns,
  askFor,
  makeGate,
  readEvents,
  readUntil,
  type Script,
  type ScriptedService,
  startScriptedService,
} from '../support/scripted-agent.ts';
import { ask, startFakeModelService, testToken } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

type Chunk = {
  id: string;
  created: number;
  model: string;
  choices: { index: number; delta: Record<string, unknown>; finish_reason: string | null }[];
  usage?: Record<string, unknown> | null;
  error?: { message: string; type: string; param: null; code: string };
};

/** The chunks of a stream that ends with `[DONE]`. */
async function chunksOf(response: Response): Promise<Chunk[]> {
  const events = await readEvents(response);
  assert.equal(events.pop(), '[DONE]');
  assert.ok(!events.includes('[DONE]'));
  return events as Chunk[];
}

function stream(service: ScriptedService, script: Script, more: object = {}, headers?: Record<string, string>) {
  return service.chat('/openai/v1', askFor(script, { stream: true, ...more }), headers);
}

const contentOf = (chunks: Chunk[]) => chunks.map((chunk) => chunk.choices[0]?.delta['content'] ?? '').join('');
const reasoningOf = (chunks: Chunk[]) =>
  chunks.map((chunk) => chunk.choices[0]?.delta['reasoning_content'] ?? '').join('');

describe('a stream', () => {
  test(requirement(['item-77', 'item-78', 'item-79', 'item-80', 'item-83', 'item-50', 'item-55']), async (t) => {
    const service = await startScriptedService(t);
    const chunks = await chunksOf(await stream(service, { say: ['Hel', 'lo ', 'you'] }));
    for (const chunk of chunks) assertPublished('CreateChatCompletionStreamResponse', chunk);
    assert.equal(contentOf(chunks), 'Hello you');
    assert.equal(new Set(chunks.map(({ id, created, model }) => `${id} ${created} ${model}`)).size, 1);
    assert.match(chunks[0]?.id ?? '', /^chatcmpl-/);
    assert.equal(chunks[0]?.model, 'haiku');
    assert.deepEqual(
      chunks.map(({ choices }) => choices[0]?.delta['role']),
      ['assistant', ...chunks.slice(1).map(() => undefined)],
    );
    assert.deepEqual(
      chunks.map(({ choices }) => choices[0]?.finish_reason),
      [...chunks.slice(1).map(() => null), 'stop'],
    );
    assert.deepEqual(chunks.at(-1)?.choices[0]?.delta, {});
    assert.ok(chunks.every((chunk) => !('usage' in chunk)));
  });

  test(requirement(['item-75', 'item-76', 'item-85', 'item-86', 'item-83']), async (t) => {
    const service = await startScriptedService(t);
    const response = await stream(service, { say: ['a\nb', '\r\n\u2028\u0000', '"quoted" \\ {json}'] });
    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
    assert.equal(response.headers.get('cache-control'), 'no-cache, no-transform');
    assert.equal(response.headers.get('x-accel-buffering'), 'no');
    assert.equal(response.headers.get('content-length'), null);
    assert.equal(response.headers.get('content-encoding'), null);
    const text = await response.text();
    assert.match(text, /^(data: (\{[^\n]*\}|\[DONE\])\n\n)+$/);
    const last = text.lastIndexOf('data: ');
    assert.equal(text.slice(last), 'data: [DONE]\n\n');
    const chunks = text
      .split('\n\n')
      .slice(0, -2)
      .map((line) => JSON.parse(line.slice(6)) as Chunk);
    assert.equal(contentOf(chunks), 'a\nb\r\n\u2028\u0000"quoted" \\ {json}');
  });

  test(requirement('item-75', 'headers and the first chunk come as soon as the agent works'), async (t) => {
    const service = await startScriptedService(t);
    const client = new AbortController();
    const body = askFor({ hang: true }, { stream: true });
    const response = await service.post('/openai/v1/chat/completions', body, {}, client.signal);
    assert.equal(response.status, 200);
    const { value } = (await response.body?.getReader().read()) ?? {};
    assert.match(Buffer.from(value ?? []).toString(), /"role":"assistant"/);
    client.abort();
  });

  test(requirement(['item-81', 'item-53']), async (t) => {
    const service = await startScriptedService(t);
    const chunks = await chunksOf(await stream(service, { say: [] }));
    assert.deepEqual(
      chunks.map(({ choices }) => [choices[0]?.delta, choices[0]?.finish_reason]),
      [
        [{ role: 'assistant', content: '' }, null],
        [{}, 'stop'],
      ],
    );
  });

  test(requirement(['item-82', 'item-31', 'item-56']), async (t) => {
    const service = await startScriptedService(t);
    const options = { stream_options: { include_usage: true, include_obfuscation: true } };
    const chunks = await chunksOf(await stream(service, { say: ['x'] }, options));
    for (const chunk of chunks) assertPublished('CreateChatCompletionStreamResponse', chunk);
    const last = chunks.pop();
    assert.deepEqual(last?.choices, []);
    assert.deepEqual(last?.usage, {
      prompt_tokens: 3210,
      completion_tokens: 7,
      total_tokens: 3217,
      prompt_tokens_details: { cached_tokens: 200, cache_write_tokens: 3000 },
    });
    assert.ok(chunks.every(({ usage }) => usage === null));
    assert.equal(chunks.at(-1)?.choices[0]?.finish_reason, 'stop');
  });

  test(requirement('item-95'), async (t) => {
    const service = await startScriptedService(t);
    const words = ['naïve ', '日本', '語 👩‍👩‍👧‍👦 ', '€'.repeat(5000)];
    assert.equal(contentOf(await chunksOf(await stream(service, { say: words }))), words.join(''));
  });

  test(
    requirement('item-77', 'the text of the real agent arrives while its answer is unfinished, and nothing is lost'),
    async (t) => {
      const { service } = await startFakeModelService(t);
      const response = await service.post('/openai/v1/chat/completions', ask('[[words: 300]]', { stream: true }));
      const chunks = await chunksOf(response);
      assert.equal(contentOf(chunks), Array.from({ length: 300 }, (_, at) => `w${at + 1}`).join(' '));
      const unfinished = await service.post(
        '/openai/v1/chat/completions',
        ask('[[words: 100]] [[stall]]', { stream: true }),
      );
      const text = await readUntil(unfinished, (sofar) => sofar.includes('w100'));
      assert.match(text, /w100/);
      assert.doesNotMatch(text, /\[DONE\]/);
    },
  );
});

describe('silence in a stream', () => {
  /** Streams an answer whose agent is silent until `enough` holds for the text of the stream. */
  async function streamWithSilence(
    t: TestContext,
    settings: Record<string, string>,
    enough: (text: string) => boolean,
  ): Promise<Response> {
    const service = await startScriptedService(t, { STREAM_KEEP_ALIVE_SECONDS: '0.1', ...settings });
    const gate = await makeGate(t);
    const response = await stream(service, { say: ['at', ' last'], gate: gate.file });
    await readUntil(response.clone(), enough);
    gate.open();
    return response;
  }

  test(requirement(['item-84', 'item-91']), async (t) => {
    const chunks = await chunksOf(await streamWithSilence(t, {}, (text) => text.split('"delta":{}').length > 2));
    for (const chunk of chunks) assertPublished('CreateChatCompletionStreamResponse', chunk);
    const empty = chunks.slice(0, -1).filter(({ choices }) => Object.keys(choices[0]?.delta ?? {}).length === 0);
    assert.ok(empty.length >= 2);
    assert.ok(empty.every(({ choices }) => choices[0]?.finish_reason === null));
    assert.equal(contentOf(chunks), 'at last');
  });

  test(requirement(['item-84', 'item-87', 'item-85']), async (t) => {
    const hasComment = (text: string) => text.includes(': keep-alive');
    const commented = await (await streamWithSilence(t, { STREAM_KEEP_ALIVE: 'comment' }, hasComment)).text();
    assert.match(commented, /\n\n: keep-alive\n\ndata: /);
    assert.doesNotMatch(commented, /^(id|event|retry):/m);
    const off = await startScriptedService(t, { STREAM_KEEP_ALIVE_SECONDS: '0.1', STREAM_KEEP_ALIVE: 'off' });
    assert.equal((await chunksOf(await stream(off, { say: ['at', ' last'], pauseMs: 400 }))).length, 4);
  });
});

describe('the work of the agent', () => {
  const script: Script = {
    think: 'let me see',
    before: 'I look first.',
    tool: { name: 'Bash', input: { command: 'ls' }, result: 'a.txt' },
    say: ['It is ', 'there.'],
  };

  test(requirement(['item-92', 'item-93', 'item-58']), async (t) => {
    const service = await startScriptedService(t);
    const quiet = await chunksOf(await stream(service, script));
    assert.equal(contentOf(quiet), 'I look first.\n\nIt is there.');
    assert.equal(reasoningOf(quiet), '');
    for (const follow of ['tools', 'tools, thinking']) {
      const chunks = await chunksOf(await stream(service, script, {}, { 'x-agent-events': follow }));
      for (const chunk of chunks) assertPublished('CreateChatCompletionStreamResponse', chunk);
      assert.equal(contentOf(chunks), 'I look first.\n\nIt is there.');
      assert.ok(!JSON.stringify(chunks).includes('tool_calls'));
      assert.match(reasoningOf(chunks), /Bash \{"command":"ls"\}\ndone: a\.txt/);
      assert.equal(reasoningOf(chunks).includes('let me see'), follow.includes('thinking'));
      assert.equal(chunks.at(-1)?.choices[0]?.finish_reason, 'stop');
    }
  });
});

describe('a failure', () => {
  test(requirement(['item-88', 'item-89', 'item-90', 'item-65']), async (t) => {
    const service = await startScriptedService(t);
    const response = await stream(service, { say: ['half'], exit: 9, stderr: 'boom' });
    assert.equal(response.status, 200);
    const events = (await readEvents(response)) as Chunk[];
    const last = events.pop();
    assert.deepEqual(Object.keys(last ?? {}), ['error']);
    assertPublished('ErrorResponse', last);
    assert.deepEqual(last?.error, { message: 'boom', type: 'execution_failed', param: null, code: 'agent_failed' });
    assert.equal(contentOf(events), 'half');
    assert.ok(events.every(({ choices }) => choices[0]?.finish_reason === null));
  });

  test(requirement('item-90', 'an agent that cannot be started is an error with its status'), async (t) => {
    const service = await startScriptedService(t, { CLAUDE_BIN: '/nonexistent/claude' });
    const response = await stream(service, {});
    assert.equal(response.status, 503);
    assertPublished('ErrorResponse', await response.json());
  });

  test(requirement('item-91', 'a stream that waits long for a slot begins before clients give up on it'), async (t) => {
    const service = await startScriptedService(t, {
      MAX_CONCURRENT_RUNS: '1',
      JSON_ANSWER_SECONDS: '0.3',
      CLIENT_GRACE_SECONDS: '0.1',
      QUEUE_TIMEOUT_SECONDS: '3',
    });
    const client = new AbortController();
    const body = askFor({ hang: true }, { stream: true });
    const busy = service.post('/openai/v1/chat/completions', body, {}, client.signal);
    await waitUntil('the slot is taken', () => service.starts().length === 1);
    const waiting = await stream(service, { say: ['x'] });
    assert.equal(waiting.status, 200);
    const events = (await readEvents(waiting)) as Chunk[];
    assert.equal(events.at(-1)?.error?.code, 'wait_timeout');
    client.abort();
    await (await busy).text().catch(() => {});
  });
});

describe('a reader', () => {
  test(requirement('item-74'), async (t) => {
    const service = await startScriptedService(t, { CLIENT_GRACE_SECONDS: '0.2' });
    for (const wanted of [true, false]) {
      const client = new AbortController();
      const body = askFor({ hang: true }, { stream: wanted });
      const answer = service.post('/openai/v1/chat/completions', body, {}, client.signal);
      answer.catch(() => {});
      await waitUntil('the agent runs', async () => (await activeRuns(service)) === 1);
      client.abort();
      await waitUntil('the slot is free', async () => (await activeRuns(service)) === 0);
    }
  });

  test(requirement('item-94'), async (t) => {
    const service = await startScriptedService(t, { SLOW_READER_SECONDS: '0.5', CLIENT_GRACE_SECONDS: '0.1' });
    // Within the limit of one answer, and three times that on the wire: more than the kernel buffers for a reader.
    const script = { say: ['長'.repeat(100_000)], times: 40, pauseMs: 100 };
    const request = rawRequest(
      'POST',
      '/openai/v1/chat/completions',
      { authorization: `Bearer ${testToken}`, 'content-type': 'application/json' },
      JSON.stringify(askFor(script, { stream: true })),
    );
    const reader = await rawConnection(t, service.url, '');
    reader.socket.pause();
    reader.socket.write(request);
    await waitUntil('the agent has started', () => service.starts().length === 1);
    await waitUntil('the agent has been ended', async () => (await activeRuns(service)) === 0);
    reader.socket.resume();
    const text = await reader.closed;
    assert.ok(text.length > 0 && text.length < 4_000_000, `cut off after ${text.length} characters`);
    assert.doesNotMatch(text.slice(-500), /\[DONE\]|"error"|"finish_reason":"stop"/);
  });
});
