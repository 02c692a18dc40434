/** The shape of whole answers, of the model list, and of errors, at the OpenAI API. */
import assert from 'node:assert/strict';
import { STATUS_CODES } from 'node:http';
import { describe, test } from 'node:test';
import { requirement } from '../contract/requirements.ts';
import { assertPublished } from '../support/published-schemas.ts';
import { askFor, startScriptedService } from '../support/scripted-agent.ts';
import { ask, faultAgent, startFakeModelService, startTestService } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

type ErrorBody = { error: { message: string; type: string; param: string | null; code: string | null } };

describe('a whole answer', () => {
  test(
    requirement(['item-49', 'item-1', 'item-43', 'item-53', 'item-58', 'item-60', 'item-61', 'item-28']),
    async (t) => {
      const service = await startScriptedService(t);
      for (const say of [['Hello', ' there'], []]) {
        const response = await service.chat('/openai/v1', askFor({ think: 'hmm', say }));
        assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
        const text = await response.text();
        assert.equal(text[0], '{');
        const body = JSON.parse(text);
        assertPublished('CreateChatCompletionResponse', body);
        assert.equal(body.choices[0].message.content, say.join(''));
        assert.doesNotMatch(text, /hmm|\[DONE\]/);
      }
    },
  );

  test(
    requirement(['item-59', 'item-56', 'item-57'], 'the answer of the real agent has what the run was and cost'),
    async (t) => {
      const { service } = await startFakeModelService(t);
      const script = '[[say: Hello]] [[usage: input=11,output=22,cache_read=333,cache_write=4444]]';
      const response = await service.post('/openai/v1/chat/completions', ask(script));
      const body = (await response.json()) as {
        id: string;
        usage: object;
        agent: { cost_usd: number; models: Record<string, { total_tokens: number; cost_usd: number }> };
      };
      assertPublished('CreateChatCompletionResponse', body);
      assert.deepEqual(body.usage, {
        prompt_tokens: 4788,
        completion_tokens: 22,
        total_tokens: 4810,
        prompt_tokens_details: { cached_tokens: 333, cache_write_tokens: 4444 },
      });
      assert.ok(body.agent.cost_usd > 0);
      assert.equal(response.headers.get('x-cost-usd'), String(body.agent.cost_usd));
      const [model] = Object.values(body.agent.models);
      assert.deepEqual([model?.total_tokens, model?.cost_usd], [4810, body.agent.cost_usd]);
      assert.equal(response.headers.get('x-run-id'), body.id);
    },
  );

  test(requirement(['item-96', 'item-97', 'item-102']), async (t) => {
    const service = await startScriptedService(t, { MODEL_ALIASES: 'a/b c=haiku' });
    const list = await (await service.get('/openai/v1/models')).json();
    assertPublished('ListModelsResponse', list);
    const one = await service.get('/openai/v1/models/a%2Fb%20c');
    assert.equal(((await one.json()) as { id: string }).id, 'a/b c');
    const unknown = await service.get('/openai/v1/models/gpt-9');
    assert.equal(unknown.status, 404);
    assertPublished('ErrorResponse', await unknown.json());
    assert.equal((await fetch(`${service.url}/openai/v1/models`)).status, 401);
  });
});

describe('an error', () => {
  test(
    requirement(
      ['item-70', 'item-72', 'item-62', 'item-69'],
      'every kind has the object, a status that clients treat right, and says whether to retry',
    ),
    async (t) => {
      const service = await startScriptedService(t, { BODY_LIMIT_BYTES: '20000' });
      const chat = '/openai/v1/chat/completions';
      const cases: [Promise<Response>, number, string, string][] = [
        [fetch(service.url + chat, { method: 'POST' }), 401, 'authentication_error', 'invalid_api_key'],
        [service.post(chat, '{'), 400, 'invalid_request_error', 'invalid_json'],
        [service.post(chat, '[]'), 400, 'invalid_request_error', 'invalid_json'],
        [service.post(chat, { messages: [] }), 400, 'invalid_request_error', 'invalid_request'],
        [service.post(chat, ask('hi', { model: 'x' })), 400, 'invalid_request_error', 'model_not_found'],
        [service.post(chat, ask('x'.repeat(20_000))), 413, 'invalid_request_error', 'body_too_large'],
        [
          service.post(chat, 'x', { 'content-type': 'text/plain' }),
          415,
          'invalid_request_error',
          'unsupported_media_type',
        ],
        [service.get(chat), 405, 'invalid_request_error', 'method_not_allowed'],
        [service.get('/openai/v1/none'), 404, 'not_found_error', 'not_found'],
        [service.post(chat, askFor({ exit: 3, stderr: 'boom' })), 503, 'execution_failed', 'agent_failed'],
      ];
      for (const [answer, status, type, code] of cases) {
        const response = await answer;
        const body = (await response.json()) as ErrorBody;
        assertPublished('ErrorResponse', body);
        assert.deepEqual([response.status, body.error.type, body.error.code], [status, type, code]);
        assert.equal(response.headers.get('x-should-retry'), 'false');
        assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
        assert.equal(response.statusText, STATUS_CODES[status]);
      }
    },
  );

  test(requirement(['item-66', 'item-108']), async (t) => {
    const service = await startScriptedService(t, {
      MAX_CONCURRENT_RUNS: '1',
      MAX_QUEUED_RUNS: '1',
      // Long enough that two refusals come before it on a busy machine.
      QUEUE_TIMEOUT_SECONDS: '4',
      CLIENT_GRACE_SECONDS: '0.1',
    });
    const clients = new AbortController();
    const busy = service.post('/openai/v1/chat/completions', askFor({ hang: true }), {}, clients.signal);
    busy.catch(() => {});
    await waitUntil('the agent works', () => service.starts().length === 1);
    const waiting = service.chat('/openai/v1', ask('wait'));
    const health = async () => (await (await service.get('/health')).json()) as { queued: number };
    await waitUntil('a request waits', async () => (await health()).queued === 1);
    for (const [answer, code] of [
      [service.chat('/openai/v1', ask('too many')), 'queue_full'],
      [service.chat('/openai/v1', ask('too many', { stream: true })), 'queue_full'],
      [waiting, 'wait_timeout'],
    ] as const) {
      const response = await answer;
      assert.equal(response.status, 503);
      const { error } = (await response.json()) as ErrorBody;
      assert.deepEqual([error.type, error.code], ['overloaded_error', code]);
      assert.equal(response.headers.get('x-should-retry'), 'true');
      assert.match(response.headers.get('retry-after') ?? '', /^([1-9]|[1-5]\d|60)$/);
    }
    assert.equal(service.starts().length, 1);
    clients.abort();
  });

  test('is not queue_full when a client sends its next request after its answer: the slot is released before the answer', async (t) => {
    const service = await startScriptedService(t, { MAX_CONCURRENT_RUNS: '1', MAX_QUEUED_RUNS: '0' });
    for (const body of [
      askFor({ say: ['one'], lingerMs: 700, result: { is_error: true } }),
      askFor({ say: ['two'], lingerMs: 700 }, { stream: true }),
      ask('three'),
    ]) {
      const response = await service.chat('/openai/v1', body);
      assert.doesNotMatch(await response.text(), /queue_full/);
    }
  });

  test(requirement('item-108'), async (t) => {
    const service = await startScriptedService(t);
    const answers = await Promise.all([1, 2, 3, 4].map((at) => service.chat('/openai/v1', ask(`side call ${at}`))));
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 200],
    );
  });

  test(requirement('item-73'), async (t) => {
    const service = await startScriptedService(t, { JSON_ANSWER_SECONDS: '0.5' });
    for (const api of ['/v1', '/openai/v1'] as const) {
      const response = await service.chat(api, askFor({ hang: true }));
      assert.equal(response.status, 503);
      assert.equal(response.headers.get('x-should-retry'), 'false');
      assert.match(await response.text(), /no answer after 0\.5 s.*stream/);
    }
    const streamed = await service.chat('/openai/v1', askFor({ say: ['late'], pauseMs: 900 }, { stream: true }));
    assert.match(await streamed.text(), /late.*\[DONE\]/s);
  });

  test(requirement('item-71'), async (t) => {
    const service = await startTestService(t, { CLAUDE_BIN: faultAgent('stderr-only') });
    const response = await service.post('/openai/v1/chat/completions', ask('hi'));
    const text = (await response.text()) + JSON.stringify([...response.headers]) + response.statusText;
    assert.doesNotMatch(text, /rate limit/i);
    assert.ok(!text.includes(service.dataDir) && !text.includes(service.token));
  });
});
