/** The fields of a job request, each with its limits. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { jobRequestShape, readJobRequest } from '../../src/api/jobs/read-job-request.ts';
import { createModels } from '../../src/api/models.ts';
import { ServiceError } from '../../src/errors.ts';

const shape = jobRequestShape({ maxBudgetUsd: 100, allowPrivateCallbacks: false });
const models = createModels({ models: ['haiku', 'opus'], defaultModel: 'haiku', modelAliases: { small: 'haiku' } }, 0);
const options = { shape, models, owner: 'a', isOperator: false, idempotencyKey: undefined };

function read(given: Record<string, unknown>, isOperator = false) {
  return readJobRequest({ prompt: 'Count the files', ...given }, { ...options, isOperator });
}

const refused: [given: Record<string, unknown>, field: string][] = [
  [{ prompt: '' }, 'prompt'],
  [{ prompt: ' \n' }, 'prompt'],
  [{ prompt: 7 }, 'prompt'],
  [{ prompt: 'a\0b' }, 'prompt'],
  [{ agent: '' }, 'agent'],
  [{ agent: '--model' }, 'agent'],
  [{ agent: 'a\nb' }, 'agent'],
  [{ agent: 'x'.repeat(201) }, 'agent'],
  [{ model: 'gpt-5' }, 'model'],
  [{ effort: 'huge' }, 'effort'],
  [{ priority: 10 }, 'priority'],
  [{ priority: -10 }, 'priority'],
  [{ priority: 0.5 }, 'priority'],
  [{ priority: 1 }, 'priority'],
  [{ timeout_seconds: 0 }, 'timeout_seconds'],
  [{ timeout_seconds: 23 * 3600 + 1 }, 'timeout_seconds'],
  [{ stall_seconds: -1 }, 'stall_seconds'],
  [{ stall_seconds: 23 * 3600 + 1 }, 'stall_seconds'],
  [{ wait_seconds: -1 }, 'wait_seconds'],
  [{ wait_seconds: 365 * 24 * 3600 + 1 }, 'wait_seconds'],
  [{ max_budget_usd: 0 }, 'max_budget_usd'],
  [{ max_budget_usd: 100.01 }, 'max_budget_usd'],
  [{ max_budget_usd: Number.NaN }, 'max_budget_usd'],
  [{ max_budget_usd: Number.POSITIVE_INFINITY }, 'max_budget_usd'],
  [{ metadata: 'text' }, 'metadata'],
  [{ metadata: { much: 'x'.repeat(65_536) } }, 'metadata'],
  [{ metadata: JSON.parse('{"a":{"id":9007199254740993}}') }, 'metadata.a.id'],
  [{ metadata: JSON.parse('{"a":[1,-12345678901234567890]}') }, 'metadata.a.1'],
  [{ metadata: JSON.parse('{"a":1e400}') }, 'metadata.a'],
  [{ max_budget: 1 }, 'max_budget'],
  [{ callback_url: 'ftp://example.org/' }, 'callback_url'],
  [{ callback_url: 'http://127.0.0.1/hook' }, 'callback_url'],
  [{ callback_url: 'http://user:secret@example.org/' }, 'callback_url'],
  [{ on_interrupt: 'retry' }, 'on_interrupt'],
  [{ deliver: 'mail' }, 'deliver'],
];

describe('a job request', () => {
  for (const [given, field] of refused) {
    test(`is refused for ${JSON.stringify(given).slice(0, 60)}, and the error names the field`, () => {
      assert.throws(
        () => read(given),
        (error) => {
          assert.ok(error instanceof ServiceError);
          assert.equal(error.extra.param, field);
          assert.match(error.message, new RegExp(`^Cannot (read the request: ${field}: |use the model )`));
          return true;
        },
      );
    });
  }

  test('may be at every limit', () => {
    const bounds = { timeout_seconds: 23 * 3600, stall_seconds: 0, wait_seconds: 365 * 24 * 3600, max_budget_usd: 100 };
    assert.deepEqual(read(bounds).limits, {
      runMs: 23 * 3_600_000,
      stallMs: 0,
      waitMs: 365 * 24 * 3_600_000,
      budgetUsd: 100,
    });
    assert.equal(read({ priority: -9 }).priority, -9);
    assert.equal(read({ agent: 'x'.repeat(200) }).agent?.length, 200);
    const exact = { id: 2 ** 53 - 1, less: -(2 ** 53 - 1), part: 0.1, large: 1.5e15, text: '12345678901234567890' };
    assert.deepEqual(read({ metadata: exact }).metadata, exact);
    const metadata = { much: 'x'.repeat(65_536 - '{"much":""}'.length) };
    assert.deepEqual(read({ metadata }).metadata, metadata);
  });

  test('may have a priority above 0 from the operator only', () => {
    assert.equal(read({ priority: 9 }, true).priority, 9);
  });

  test('treats null as absent, and replaces a model alias by its target', () => {
    const fields = [
      'agent',
      'effort',
      'metadata',
      'callback_url',
      'priority',
      'on_interrupt',
      'deliver',
      'stall_seconds',
    ];
    const given = Object.fromEntries(fields.map((name) => [name, null]));
    assert.deepEqual(read({ ...given, model: 'small' }), {
      prompt: 'Count the files',
      owner: 'a',
      model: 'haiku',
      limits: {},
    });
  });

  test('must be a JSON object', () => {
    for (const body of [undefined, null, [], 'text', 7]) {
      assert.throws(() => readJobRequest(body, options), { code: 'invalid_json' });
    }
  });
});
