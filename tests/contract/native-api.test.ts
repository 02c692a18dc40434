/** The native API over HTTP: the behaviour that clients of the earlier service rely on. The agents are small executables. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { askFor, startScriptedService } from '../support/scripted-agent.ts';
import { ask, faultAgent, startTestService } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';
import { requirement } from './requirements.ts';

type Completion = {
  id: string;
  object: string;
  created: number;
  model: string;
  choices: { index: number; finish_reason: string; message: { role: string; content: string } }[];
  usage: Record<string, unknown>;
};

const completion = async (response: Response) => (await response.json()) as Completion;

describe('a completion', () => {
  test(requirement(['C-1', 'item-1', 'item-28', 'item-50', 'item-51', 'item-52', 'item-55']), async (t) => {
    const service = await startScriptedService(t);
    const before = Math.floor(Date.now() / 1000);
    const response = await service.chat('/v1', askFor({ say: ['Par', 'is.'] }));
    const body = await completion(response);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
    assert.match(body.id, /^chatcmpl-/);
    assert.equal(body.object, 'chat.completion');
    assert.ok(Number.isInteger(body.created) && body.created >= before && body.created <= before + 60);
    assert.equal(body.model, 'haiku');
    assert.deepEqual(
      body.choices.map(({ index, finish_reason, message }) => [index, finish_reason, message.role, message.content]),
      [[0, 'stop', 'assistant', 'Paris.']],
    );
    const again = await completion(await service.chat('/v1', askFor({ say: ['Par', 'is.'] })));
    assert.notEqual(again.id, body.id);
  });

  test(requirement(['C-2', 'item-56', 'item-57']), async (t) => {
    const service = await startScriptedService(t);
    const { usage } = await completion(await service.chat('/v1', ask('hi')));
    assert.deepEqual(usage, {
      prompt_tokens: 3210,
      completion_tokens: 7,
      total_tokens: 3217,
      prompt_tokens_details: { cached_tokens: 200, cache_write_tokens: 3000 },
    });
  });

  test(requirement(['C-20', 'C-1'], 'plain text is the answer as it is, and the counts are there'), async (t) => {
    const service = await startTestService(t, { CLAUDE_BIN: faultAgent('plain-text') });
    const body = await completion(await service.post('/v1/chat/completions', ask('hi')));
    assert.match(body.choices[0]?.message.content ?? '', /plain non-json output/);
    assert.deepEqual(
      [body.usage['prompt_tokens'], body.usage['completion_tokens'], body.usage['total_tokens']],
      [0, 0, 0],
    );
  });

  test(requirement('C-21'), async (t) => {
    const service = await startScriptedService(t);
    const response = await service.chat('/v1', askFor({ say: ['x'], result: { result: null } }));
    assert.equal(response.status, 200);
    assert.match((await completion(response)).choices[0]?.message.content ?? '', /"type":"result"/);
  });
});

describe('the model', () => {
  test(requirement('C-3'), async (t) => {
    const service = await startScriptedService(t);
    for (const model of ['haiku', 'sonnet', 'opus']) {
      assert.equal((await service.chat('/v1', ask('hi', { model }))).status, 200);
      const args = service.starts().at(-1) ?? [];
      assert.equal(args[args.indexOf('--model') + 1], model);
    }
  });

  test(requirement(['C-4', 'item-7']), async (t) => {
    const service = await startScriptedService(t);
    for (const model of [undefined, null]) {
      const response = await service.chat('/v1', ask('hi', { model, n: model }));
      assert.equal((await completion(response)).model, 'sonnet');
      const args = service.starts().at(-1) ?? [];
      assert.equal(args[args.indexOf('--model') + 1], 'sonnet');
    }
    assert.equal((await service.chat('/v1', ask('hi', { model: 5 }))).status, 400);
  });

  test(requirement(['C-5', 'item-63']), async (t) => {
    const service = await startScriptedService(t);
    const response = await service.chat('/v1', ask('hi', { model: 'gpt-4o' }));
    assert.equal(response.status, 400);
    assert.deepEqual(await response.json(), { error: 'unsupported model', supported: ['haiku', 'sonnet', 'opus'] });
    assert.equal(response.headers.get('x-should-retry'), 'false');
    assert.equal(response.statusText, 'Bad Request');
    assert.deepEqual(service.starts(), []);
  });

  test(requirement('C-6'), async (t) => {
    const service = await startScriptedService(t);
    const list = (await (await service.get('/v1/models')).json()) as { data: { id: string }[] };
    assert.deepEqual(
      list.data.map(({ id }) => id),
      ['haiku', 'sonnet', 'opus'],
    );
    assert.equal(((await (await service.get('/v1/models/opus')).json()) as { id: string }).id, 'opus');
    const unknown = await service.get('/v1/models/gpt-4o');
    assert.equal(unknown.status, 404);
    assert.equal(((await unknown.json()) as { error: string }).error, 'not found');
  });
});

test(requirement(['C-7', 'item-29']), async (t) => {
  const service = await startScriptedService(t);
  const response = await service.chat('/v1', ask('hi', { stream: true }));
  assert.equal(response.status, 400);
  const text = await response.text();
  assert.match(text, /streaming not supported/);
  assert.match(text, /\/openai\/v1/);
  assert.deepEqual(service.starts(), []);
});

describe('the prompt', () => {
  test(requirement('C-13'), async (t) => {
    const service = await startScriptedService(t);
    const promptOf = async (messages: object[]) => {
      assert.equal((await service.chat('/v1', { model: 'haiku', messages })).status, 200);
      return service.starts().at(-1)?.at(-1);
    };
    assert.equal(await promptOf([{ role: 'user', content: 'just this' }]), 'just this');
    assert.equal(
      await promptOf([
        { role: 'user', content: 'USER' },
        { role: 'system', content: 'SYSTEM' },
      ]),
      'SYSTEM\n\nUSER',
    );
    assert.equal(
      await promptOf([
        { role: 'developer', content: 'RULES' },
        { role: 'user', content: 'one' },
        { role: 'assistant', content: 'two' },
        { role: 'user', content: [{ type: 'text', text: 'three' }] },
      ]),
      'RULES\n\nUser: one\n\nAssistant: two\n\nUser: three',
    );
  });

  test(requirement('C-14'), async (t) => {
    const service = await startScriptedService(t);
    await service.chat('/v1', ask('short'));
    assert.deepEqual(service.starts().at(-1)?.slice(-2), ['--', 'short']);
    assert.deepEqual(service.received(), []);
    const long = 'word '.repeat(40_000);
    assert.equal((await service.chat('/v1', ask(long))).status, 200);
    assert.ok(service.starts().at(-1)?.includes('--input-format'));
    assert.ok(JSON.stringify(service.received().at(-1)).includes(long));
  });
});

describe('a failure', () => {
  test(requirement(['C-16', 'item-65', 'item-70', 'item-72']), async (t) => {
    const service = await startScriptedService(t);
    const response = await service.chat('/v1', askFor({ exit: 42, stderr: 'boom' }));
    assert.equal(response.status, 503);
    assert.deepEqual(await response.json(), { error: 'execution failed', detail: 'boom' });
    assert.equal(response.headers.get('x-should-retry'), 'false');
    assert.equal(response.headers.get('retry-after'), null);
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/);

    const marked = await service.chat(
      '/v1',
      askFor({ result: { is_error: true, result: 'Credit balance is too low' } }),
    );
    assert.equal(marked.status, 503);
    assert.equal(((await marked.json()) as { detail: string }).detail, 'Credit balance is too low');

    const refused = await service.chat(
      '/v1',
      askFor({ result: { is_error: true, stop_reason: 'refusal', result: 'The model cannot respond to this' } }),
    );
    assert.equal(refused.status, 503);
    assert.equal(((await refused.json()) as { detail: string }).detail, 'The model cannot respond to this');
  });

  test(requirement(['C-17', 'item-71']), async (t) => {
    const service = await startScriptedService(t);
    const stderr =
      'cannot read /srv/secret/place: key sk-ant-api03-abcdefghijklmnop\n    at run (/srv/app/index.js:1:2)';
    const response = await service.chat('/v1', askFor({ exit: 1, stderr }));
    const { detail } = (await response.json()) as { detail: string };
    assert.doesNotMatch(detail, /srv|sk-ant|at run|\n/);
    assert.doesNotMatch(detail, /rate limit/i);
  });

  test(requirement('C-18'), async (t) => {
    const missing = await startTestService(t, { CLAUDE_BIN: '/nonexistent/claude' });
    const slow = await startTestService(t, { CLAUDE_BIN: faultAgent('hangs'), CHAT_TIMEOUT_SECONDS: '0.3' });
    for (const service of [missing, slow]) {
      const response = await service.post('/v1/chat/completions', ask('hi'));
      assert.equal(response.status, 503);
      const { error, detail } = (await response.json()) as { error: string; detail: string };
      assert.equal(error, 'execution failed');
      assert.ok(detail.length > 10);
      assert.equal(response.headers.get('x-should-retry'), 'false');
    }
  });

  test(requirement(['C-19', 'item-66']), async (t) => {
    const service = await startScriptedService(t, { MAX_CONCURRENT_RUNS: '1', CLIENT_GRACE_SECONDS: '0.1' });
    const client = new AbortController();
    const first = service.post('/v1/chat/completions', askFor({ hang: true }), {}, client.signal);
    first.catch(() => {});
    await waitUntil('the agent works', () => service.starts().length === 1);
    const refused = await service.chat('/v1', ask('hi'));
    assert.equal(refused.status, 503);
    assert.deepEqual(await refused.json(), { error: 'execution failed', detail: 'agent is busy' });
    assert.equal(refused.headers.get('x-should-retry'), 'true');
    const retryAfter = Number(refused.headers.get('retry-after'));
    assert.ok(Number.isInteger(retryAfter) && retryAfter >= 1 && retryAfter <= 60);
    assert.equal(service.starts().length, 1);
    client.abort();
    await waitUntil('the slot is free', async () => (await service.chat('/v1', ask('hi'))).status === 200);
  });
});

test(requirement('C-26'), async (t) => {
  const service = await startScriptedService(t);
  assert.equal((await service.chat('/v1', ask('hi'))).headers.get('x-workspace-sync'), 'off');
});

test('with V1_API=openai the OpenAI API is at /v1', async (t) => {
  const service = await startScriptedService(t, { V1_API: 'openai' });
  const streamed = await service.chat('/v1', ask('hi', { stream: true }));
  assert.match(await streamed.text(), /data: \[DONE\]\n\n$/);
  const bodies = [service.chat('/v1', ask('hi', { model: 'x' })), service.get('/v1/none'), service.chat('/v1', '{')];
  for (const response of await Promise.all(bodies)) {
    assert.equal(typeof ((await response.json()) as { error: { message: string } }).error.message, 'string');
  }
});
