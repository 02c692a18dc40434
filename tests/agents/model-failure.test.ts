/** Which error a failed request to the model becomes, and which retries of the CLI are waited for. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { refusedRetry } from '../../src/agents/model-failure.ts';
import { outcomeOf } from '../../src/agents/outcome.ts';
import { readMessage } from '../../src/agents/protocol/messages.ts';
import { readResult } from '../../src/agents/protocol/result.ts';
import { Turn } from '../../src/agents/turn.ts';
import type { ErrorCode, ServiceError } from '../../src/errors.ts';
import { chat } from '../support/pool.ts';

const image = { type: 'image' as const, mediaType: 'image/png', base64: 'iVBORw0KGgo=' };

type Facts = { error?: string; result?: Record<string, unknown>; event?: Record<string, unknown>; images?: number };

/** The error for a result with these facts. The words of the CLI say nothing, or the wrong thing. */
function failureOf({ error, result = {}, event, images = 0 }: Facts): ServiceError {
  const task = chat(['question']);
  task.messages[0]?.blocks.push(...Array.from({ length: images }, () => image));
  const turn = new Turn(undefined, () => {});
  const read = (line: Record<string, unknown>) => {
    const message = readMessage(JSON.stringify(line));
    if (message) turn.read(message);
  };
  if (event) read(event);
  if (error) read({ type: 'assistant', is_api_error_message: true, error, message: { content: [] } });
  const failed = { subtype: 'success', is_error: true, terminal_reason: 'api_error', result: 'some words', ...result };
  try {
    outcomeOf(task, turn, readResult(failed));
  } catch (thrown) {
    return thrown as ServiceError;
  }
  throw new Error('The result is no failure');
}

const status = (code: number) => ({ api_error_status: code });

describe('the error of a failed request follows the facts of the CLI', () => {
  const cases: [what: string, facts: Facts, code: ErrorCode][] = [
    ['401', { result: status(401) }, 'not_signed_in'],
    ['403', { result: status(403) }, 'not_signed_in'],
    ['a refused login without a status', { error: 'authentication_failed' }, 'not_signed_in'],
    ['402', { result: status(402) }, 'no_credit'],
    ['an empty account, which is a 400', { error: 'billing_error', result: status(400) }, 'no_credit'],
    ['429', { result: status(429) }, 'model_rate_limited'],
    ['529', { result: status(529) }, 'model_unavailable'],
    ['500', { result: status(500) }, 'model_unavailable'],
    ['a lost connection', { result: { api_error: 'connection_failed' } }, 'model_unavailable'],
    ['404', { result: status(404) }, 'model_unknown'],
    ['413', { result: { ...status(413), terminal_reason: 'image_error' } }, 'context_length_exceeded'],
    ['a long prompt', { result: { ...status(400), terminal_reason: 'prompt_too_long' } }, 'context_length_exceeded'],
    [
      'a bad image of the client',
      { result: { ...status(400), api_error: 'media_removed' }, images: 1 },
      'invalid_image',
    ],
    ['a bad image of the workspace', { result: { ...status(400), api_error: 'media_removed' } }, 'agent_failed'],
    ['another 400', { result: status(400) }, 'agent_failed'],
    ['words about a login, without facts', { result: { result: 'Please run /login' } }, 'not_signed_in'],
    [
      'words about a login, with other facts',
      { result: { ...status(529), result: 'Please run /login' } },
      'model_unavailable',
    ],
    ['the end of the budget', { result: { ...status(429), subtype: 'error_max_budget_usd' } }, 'budget_exceeded'],
    ['a hook', { result: { is_error: false, terminal_reason: 'hook_stopped' } }, 'blocked_by_hook'],
  ];
  for (const [what, facts, code] of cases) {
    test(`${what} is ${code}`, () => assert.equal(failureOf(facts).code, code));
  }

  test('a usage limit has the time of its end', () => {
    const info = { status: 'rejected', resetsAt: 1_800_000_000, rateLimitType: 'five_hour' };
    const event = { type: 'rate_limit_event', rate_limit_info: info };
    const { code, message, extra } = failureOf({ event, result: status(429) });
    assert.equal(code, 'usage_limit');
    assert.equal(extra.resetsAt, 1_800_000_000_000);
    assert.match(message, /until 2027-01-15T08:00:00.000Z$/);
  });

  test('a usage limit that is near is no failure', () => {
    const event = { type: 'rate_limit_event', rate_limit_info: { status: 'allowed_warning', resetsAt: 1 } };
    assert.equal(failureOf({ event, result: status(429) }).code, 'model_rate_limited');
  });

  test('an image that is alone is named, and several are counted', () => {
    const bad = { ...status(400), api_error: 'media_removed' };
    assert.match(failureOf({ result: bad, images: 1 }).message, /cannot read its image \(image\/png, 8 bytes\)$/);
    assert.match(failureOf({ result: bad, images: 3 }).message, /cannot read one of its 3 images$/);
  });
});

describe('a retry of the CLI', () => {
  const retries = { chat: 3, job: 10 };
  const cases: [
    kind: 'chat' | 'job',
    attempt: number,
    status: number | undefined,
    delayMs: number,
    code?: ErrorCode,
  ][] = [
    ['chat', 1, 529, 500],
    ['chat', 3, 529, 2000],
    ['chat', 4, 529, 4000, 'model_unavailable'],
    ['chat', 4, 429, 4000, 'model_rate_limited'],
    ['chat', 4, undefined, 4000, 'model_unavailable'],
    ['chat', 1, 429, 40_000, 'model_rate_limited'],
    ['chat', 1, 401, 500],
    ['chat', 2, 401, 1000, 'not_signed_in'],
    ['chat', 2, 403, 1000, 'not_signed_in'],
    ['job', 2, 401, 1000, 'not_signed_in'],
    ['job', 10, 529, 40_000],
    ['job', 11, 529, 40_000, 'model_unavailable'],
  ];
  for (const [kind, attempt, code, delayMs, refused] of cases) {
    test(`${attempt} of a ${kind} after ${code ?? 'no answer'}, in ${delayMs} ms, is ${refused ?? 'waited for'}`, () => {
      const retry = { type: 'retry', attempt, maxAttempts: 15, delayMs, status: code } as const;
      assert.equal(refusedRetry(retry, chat(['question'], { kind }), retries)?.code, refused);
    });
  }

  test('that is not waited for gives its pause to the client', () => {
    const retry = { type: 'retry', attempt: 1, maxAttempts: 10, delayMs: 41_200, status: 429 } as const;
    assert.equal(refusedRetry(retry, chat(['question']), retries)?.extra.retryAfterSeconds, 42);
  });
});
