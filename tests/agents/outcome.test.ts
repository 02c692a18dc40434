/** What the result message of an agent means for its run. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { outcomeOf } from '../../src/agents/outcome.ts';
import { readResult } from '../../src/agents/protocol/result.ts';
import { Turn } from '../../src/agents/turn.ts';
import { chat } from '../support/pool.ts';

const refusal = { is_error: true, stop_reason: 'refusal', result: 'API Error: the model cannot respond' };

const silentTurn = () => new Turn(undefined, () => {});

/** @param members those of the CLI's result message that the case is about */
function outcomeFor(members: Record<string, unknown>, outputSchema?: Record<string, unknown>) {
  const result = readResult({
    type: 'result',
    subtype: 'success',
    result: 'text',
    stop_reason: 'end_turn',
    ...members,
  });
  return outcomeOf(chat(['question'], outputSchema ? { outputSchema } : {}), silentTurn(), result);
}

describe('a refusal of the model', () => {
  test('is an outcome with its own stop reason and the text that the CLI gives', () => {
    const { stopReason, text } = outcomeFor(refusal);
    assert.deepEqual([stopReason, text], ['refusal', 'API Error: the model cannot respond']);
  });

  test('has the text of the errors where the result has none', () => {
    assert.equal(outcomeFor({ ...refusal, result: undefined, errors: ['one', 'two'] }).text, 'one; two');
  });

  test('does not hide that the budget is spent', () => {
    assert.throws(() => outcomeFor({ ...refusal, subtype: 'error_max_budget_usd' }), { code: 'budget_exceeded' });
  });
});

test('another result that is marked as an error is an error', () => {
  assert.throws(() => outcomeFor({ is_error: true, result: 'boom' }), { code: 'agent_failed', message: 'boom' });
});

describe('with an output schema', () => {
  const schema = { type: 'object' };

  test('the text is the JSON of the object that the agent gave', () => {
    assert.equal(outcomeFor({ structured_output: { city: 'Rome' } }, schema).text, '{"city":"Rome"}');
  });

  test('a refusal of the model is an outcome with the text that the CLI gives', () => {
    const { stopReason, text } = outcomeFor(refusal, schema);
    assert.deepEqual([stopReason, text], ['refusal', 'API Error: the model cannot respond']);
  });

  for (const [what, members] of [
    ['no value', {}],
    ['a text', { structured_output: 'Rome' }],
    ['a list', { structured_output: ['Rome'] }],
    ['null', { structured_output: null }],
  ] as const) {
    test(`${what} is \`invalid_output\``, () => {
      assert.throws(() => outcomeFor(members, schema), { code: 'invalid_output' });
    });
  }
});

test('without an output schema the text is that of the result, whatever object comes with it', () => {
  assert.equal(outcomeFor({ structured_output: { city: 'Rome' } }).text, 'text');
});

test('a number that is negative or no number counts as missing', () => {
  const usage = { inputTokens: 3, outputTokens: -5, cacheReadInputTokens: 'many', costUSD: null };
  const { usage: read, models, costUsd } = outcomeFor({ modelUsage: { haiku: usage }, total_cost_usd: -1 });
  const expected = { inputTokens: 3, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 };
  assert.deepEqual(read, expected);
  assert.deepEqual(models, { haiku: { ...expected, costUsd: 0 } });
  assert.equal(costUsd, undefined);
});

test('a total that is lower than after the turn before gives no negative usage', () => {
  const result = (inputTokens: number, outputTokens: number) =>
    readResult({ subtype: 'success', modelUsage: { haiku: { inputTokens, outputTokens } } });
  const { usage } = outcomeOf(chat(['question']), silentTurn(), result(7, 2), { before: result(5, 5) });
  assert.deepEqual([usage?.inputTokens, usage?.outputTokens], [2, 0]);
});
