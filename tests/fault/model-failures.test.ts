/** Failures of the model API, with the real CLI: each API names the true cause, and a repeat asks again. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { fakeModelAgent } from '../support/fake-model-agent.ts';
import { execute, jobOf, runJob } from '../support/http-jobs.ts';
import { ask, startFakeModelService, startTestService } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

type Case = {
  error: string;
  status: number;
  /** The code at the OpenAI API. */
  code: string;
  says: RegExp;
  /** How often the model is asked, with one retry. */
  asked: number;
  retry: boolean;
};

const cases: Case[] = [
  {
    error: '401 authentication_error Invalid bearer token',
    status: 503,
    code: 'not_signed_in',
    says: /401.*sign in/,
    asked: 2,
    retry: false,
  },
  {
    error: '401 authentication_error OAuth token has been revoked',
    status: 503,
    code: 'not_signed_in',
    says: /sign in/,
    asked: 2,
    retry: false,
  },
  {
    error: '403 permission_error No access',
    status: 503,
    code: 'not_signed_in',
    says: /No access.*sign in/,
    asked: 1,
    retry: false,
  },
  { error: '402 billing_error Pay first', status: 503, code: 'no_credit', says: /Pay first/, asked: 1, retry: false },
  {
    error: '400 invalid_request_error Your credit balance is too low to access the API',
    status: 503,
    code: 'no_credit',
    says: /Credit balance is too low/,
    asked: 1,
    retry: false,
  },
  {
    error: '429 rate_limit_error Slow down',
    status: 429,
    code: 'rate_limit_exceeded',
    says: /429/,
    asked: 2,
    retry: true,
  },
  {
    error: '529 overloaded_error Overloaded',
    status: 503,
    code: 'model_unavailable',
    says: /529/,
    asked: 2,
    retry: true,
  },
  { error: '500 api_error Oops', status: 503, code: 'model_unavailable', says: /500/, asked: 2, retry: true },
  {
    error: '413 request_too_large Too large',
    status: 400,
    code: 'context_length_exceeded',
    says: /too large/i,
    asked: 1,
    retry: false,
  },
  {
    error: '400 invalid_request_error prompt is too long: 250000 tokens > 200000 maximum',
    status: 400,
    code: 'context_length_exceeded',
    says: /too long/i,
    asked: 1,
    retry: false,
  },
];

const oneRetry = { CHAT_MODEL_RETRIES: '1', JOB_MODEL_RETRIES: '1' };

async function errorOf(answer: Response): Promise<{ code?: string; text: string }> {
  const body = (await answer.json()) as { error: string | { message: string; code: string }; detail?: string };
  return typeof body.error === 'string'
    ? { text: String(body.detail) }
    : { code: body.error.code, text: body.error.message };
}

describe('a failure of the model API', () => {
  for (const { error, status, code, says, asked, retry } of cases) {
    test(error, async (t) => {
      const { service, model } = await startFakeModelService(t, oneRetry);
      const body = ask(`[[error: ${error}]]`);
      for (const api of ['/openai/v1', '/v1'] as const) {
        // The second time shows that a repeat is not answered with the stored error.
        for (const time of status === 400 ? ['first'] : ['first', 'second']) {
          const before = model.asked().length;
          const answer = await service.post(`${api}/chat/completions`, body);
          const failure = await errorOf(answer);
          const what = `${api}, ${time}: ${JSON.stringify(failure)}`;
          assert.equal(answer.status, status, what);
          assert.match(failure.text, says, what);
          if (api === '/openai/v1') assert.equal(failure.code, code, what);
          assert.equal(answer.headers.get('x-should-retry'), String(retry), what);
          assert.equal(answer.headers.get('retry-after') !== null, retry, what);
          assert.equal(model.asked().length - before, asked, `${what}: how often the model was asked`);
        }
      }
    });
  }

  test('that goes away after a retry is only an event', async (t) => {
    const { service } = await startFakeModelService(t, oneRetry);
    const question = '[[error: 529x1 overloaded_error Overloaded]] [[say: fine]]';
    const answer = await service.post('/openai/v1/chat/completions', ask(question, { stream: true }), {
      'x-agent-events': 'tools',
    });
    const text = await answer.text();
    assert.match(text, /The model API failed; retry 1 of/);
    assert.match(text, /"content":"fine"/);
  });

  test('in a stream that has begun is the last event', async (t) => {
    const { service } = await startFakeModelService(t, oneRetry);
    const answer = await service.post(
      '/openai/v1/chat/completions',
      ask('[[error: 429 rate_limit_error x]]', { stream: true }),
    );
    const text = await answer.text();
    assert.match(text, /"code":"rate_limit_exceeded"/);
    assert.doesNotMatch(text, /\[DONE\]/);
  });
});

test('an image that the model API refuses is an error of the request that names the image', async (t) => {
  const { service } = await startFakeModelService(t, oneRetry);
  const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
  const text = '[[error: 400 invalid_request_error messages.0.content.1.image.source.base64: Could not process image]]';
  const content = [
    { type: 'text', text },
    { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } },
  ];
  const answer = await service.post('/openai/v1/chat/completions', {
    model: 'haiku',
    messages: [{ role: 'user', content }],
  });
  const { code, text: said } = await errorOf(answer);
  assert.deepEqual([answer.status, code], [400, 'invalid_image']);
  assert.match(said, /cannot read its image \(image\/png, \d+ bytes\)$/);
});

test('a chat waits for no long pause that the model API asks for, and passes the time on', async (t) => {
  const { service, model } = await startFakeModelService(t);
  const answer = await service.post('/openai/v1/chat/completions', ask('[[error: 429 rate_limit_error x after 40]]'));
  assert.equal(answer.status, 429);
  assert.ok(Number(answer.headers.get('retry-after')) >= 40, String(answer.headers.get('retry-after')));
  assert.equal(model.asked().length, 1);
});

test('a job that ends for a failure of the model API names the cause and what it had cost', async (t) => {
  const { service } = await startFakeModelService(t, { ...oneRetry, AGENT_ACCESS: 'full', SANDBOX: 'off' });
  const job = await runJob(service, '[[tool: Bash {"command":"true"}]] [[error: 529 overloaded_error Overloaded]]');
  assert.deepEqual([job.status, job.error?.code], ['failed', 'model_unavailable']);
  assert.ok((job.cost_usd ?? 0) > 0, `cost ${job.cost_usd}`);
});

async function startWithLogin(t: TestContext) {
  const { model, environment, claudeBin } = await fakeModelAgent(t);
  const { ANTHROPIC_API_KEY: _, ...rest } = environment;
  const service = await startTestService(
    t,
    { CLAUDE_BIN: claudeBin },
    { ...rest, CLAUDE_CODE_OAUTH_TOKEN: 'sk-ant-oat01-fake' },
  );
  return { model, service };
}

test('the usage limit of a login is an error of its own, with the time of its end', async (t) => {
  const { service, model } = await startWithLogin(t);
  for (const api of ['/openai/v1', '/v1'] as const) {
    for (const time of ['first', 'second']) {
      const before = model.asked().length;
      const answer = await service.post(`${api}/chat/completions`, ask('[[limit: 7200]]'));
      const { code, text } = await errorOf(answer);
      assert.equal(answer.status, 429, `${api} ${time} ${text}`);
      if (api === '/openai/v1') assert.equal(code, 'usage_limit');
      // No retry helps before that time, so clients are told not to try.
      assert.equal(answer.headers.get('x-should-retry'), 'false');
      assert.ok(Number(answer.headers.get('retry-after')) > 7000, String(answer.headers.get('retry-after')));
      assert.match(text, /reached its usage limit until \d{4}-\d\d-\d\dT/);
      assert.equal(model.asked().length - before, 1, 'the model was asked once');
    }
  }
  const id = await execute(service, { prompt: '[[limit: 7200]]' });
  const cause = await waitUntil('the job waits for the end of the limit', async () => {
    const { waiting_for: cause, status } = await jobOf(service, id);
    return status === 'queued' && cause;
  });
  assert.equal(cause.code, 'usage_limit');
});
