/** Every error of the table, as each API tells it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { errorBody as nativeBody } from '../../src/api/native/error-body.ts';
import { errorBody as openaiBody } from '../../src/api/openai-chat/error-body.ts';
import { asServiceError, type ErrorCode, errorTable, ServiceError } from '../../src/errors.ts';

type Told = [status: number, retry: 'never' | 'later', native: string, openaiType: string, openaiCode: string];

const told: Record<ErrorCode, Told> = {
  unauthorized: [401, 'never', 'unauthorized', 'authentication_error', 'invalid_api_key'],
  host_not_allowed: [403, 'never', 'host not allowed', 'invalid_request_error', 'host_not_allowed'],
  invalid_json: [400, 'never', 'invalid request', 'invalid_request_error', 'invalid_json'],
  invalid_request: [400, 'never', 'invalid request', 'invalid_request_error', 'invalid_request'],
  unsupported_model: [400, 'never', 'unsupported model', 'invalid_request_error', 'model_not_found'],
  streaming_not_supported: [
    400,
    'never',
    'streaming not supported',
    'invalid_request_error',
    'streaming_not_supported',
  ],
  not_found: [404, 'never', 'not found', 'not_found_error', 'not_found'],
  method_not_allowed: [405, 'never', 'method not allowed', 'invalid_request_error', 'method_not_allowed'],
  body_too_large: [413, 'never', 'body too large', 'invalid_request_error', 'body_too_large'],
  unsupported_media_type: [415, 'never', 'unsupported media type', 'invalid_request_error', 'unsupported_media_type'],
  client_gone: [499, 'never', 'execution failed', 'execution_failed', 'client_gone'],
  agent_busy: [503, 'later', 'execution failed', 'overloaded_error', 'agent_busy'],
  queue_full: [503, 'later', 'execution failed', 'overloaded_error', 'queue_full'],
  too_many_bodies: [503, 'later', 'execution failed', 'overloaded_error', 'too_many_bodies'],
  schemas_waiting: [503, 'later', 'execution failed', 'overloaded_error', 'schemas_waiting'],
  job_queue_full: [429, 'later', 'queue full', 'overloaded_error', 'job_queue_full'],
  job_finished: [409, 'never', 'job finished', 'invalid_request_error', 'job_finished'],
  job_not_finished: [409, 'never', 'job not finished', 'invalid_request_error', 'job_not_finished'],
  idempotency_conflict: [409, 'never', 'idempotency conflict', 'invalid_request_error', 'idempotency_conflict'],
  jobs_held: [503, 'later', 'execution failed', 'overloaded_error', 'jobs_held'],
  wait_timeout: [503, 'later', 'execution failed', 'overloaded_error', 'wait_timeout'],
  store_unavailable: [503, 'later', 'execution failed', 'overloaded_error', 'store_unavailable'],
  shutting_down: [503, 'later', 'execution failed', 'overloaded_error', 'shutting_down'],
  agent_not_started: [503, 'never', 'execution failed', 'execution_failed', 'agent_not_started'],
  not_signed_in: [503, 'never', 'execution failed', 'execution_failed', 'not_signed_in'],
  no_credit: [503, 'never', 'execution failed', 'execution_failed', 'no_credit'],
  usage_limit: [429, 'never', 'execution failed', 'execution_failed', 'usage_limit'],
  model_rate_limited: [429, 'later', 'execution failed', 'overloaded_error', 'rate_limit_exceeded'],
  model_unavailable: [503, 'later', 'execution failed', 'overloaded_error', 'model_unavailable'],
  model_unknown: [503, 'never', 'execution failed', 'execution_failed', 'model_unknown'],
  context_length_exceeded: [
    400,
    'never',
    'context length exceeded',
    'invalid_request_error',
    'context_length_exceeded',
  ],
  invalid_image: [400, 'never', 'invalid image', 'invalid_request_error', 'invalid_image'],
  blocked_by_hook: [503, 'never', 'execution failed', 'execution_failed', 'blocked_by_hook'],
  agent_unknown: [503, 'never', 'execution failed', 'execution_failed', 'agent_unknown'],
  agent_failed: [503, 'never', 'execution failed', 'execution_failed', 'agent_failed'],
  agent_timeout: [503, 'never', 'execution failed', 'execution_failed', 'agent_timeout'],
  agent_stalled: [503, 'never', 'execution failed', 'execution_failed', 'agent_stalled'],
  budget_exceeded: [503, 'never', 'execution failed', 'execution_failed', 'budget_exceeded'],
  output_too_large: [503, 'never', 'execution failed', 'execution_failed', 'output_too_large'],
  invalid_output: [503, 'never', 'execution failed', 'execution_failed', 'invalid_output'],
  workspace_unavailable: [503, 'never', 'execution failed', 'execution_failed', 'workspace_unavailable'],
  cancelled: [503, 'never', 'execution failed', 'execution_failed', 'cancelled'],
  interrupted: [503, 'never', 'execution failed', 'execution_failed', 'interrupted'],
  internal: [500, 'never', 'internal error', 'api_error', 'internal'],
};

describe('every error of the table', () => {
  for (const [code, [status, retry, native, type, openaiCode]] of Object.entries(told) as [ErrorCode, Told][]) {
    test(`${code} is ${status}, "${native}" at the native API and ${type} at the OpenAI API`, () => {
      const error = new ServiceError(code, 'Cannot do it: the reason');
      assert.deepEqual([error.row.status, error.row.retry], [status, retry]);
      assert.deepEqual(nativeBody(error), { error: native, detail: 'Cannot do it: the reason' });
      assert.deepEqual(openaiBody(error), {
        error: { message: 'Cannot do it: the reason', type, param: null, code: openaiCode },
      });
    });
  }

  test('has a row in this test', () => {
    assert.deepEqual(Object.keys(told).sort(), Object.keys(errorTable).sort());
  });

  test('with a fixed text has one line of the form "what failed: why"', () => {
    for (const [code, row] of Object.entries(errorTable)) {
      // The contract has these very words.
      if (code === 'agent_busy' || !('text' in row)) continue;
      assert.match(row.text, /^[A-Z][^\n:]+: [^\n]+$/);
      assert.equal(new ServiceError(code as 'internal').message, row.text);
    }
  });
});

test('an error names its field and the models of the server, at the API that has a place for them', () => {
  const error = new ServiceError('unsupported_model', 'Cannot use the model "x": unsupported model', {
    param: 'model',
    supported: ['haiku', 'opus'],
  });
  assert.deepEqual(nativeBody(error), { error: 'unsupported model', supported: ['haiku', 'opus'] });
  assert.deepEqual(openaiBody(error), {
    error: {
      message: 'Cannot use the model "x": unsupported model',
      type: 'invalid_request_error',
      param: 'model',
      code: 'model_not_found',
    },
    supported: ['haiku', 'opus'],
  });
});

test('anything else that is thrown becomes `internal`, and its text reaches no client', () => {
  const cause = new TypeError('secret internals');
  const error = asServiceError(cause);
  assert.deepEqual([error.code, error.cause], ['internal', cause]);
  assert.doesNotMatch(JSON.stringify([nativeBody(error), openaiBody(error)]), /secret/);
});
