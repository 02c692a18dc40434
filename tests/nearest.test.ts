/** Which known name a wrong name means. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { editsBetween, nearestName, suggestionFor } from '../src/nearest.ts';

const fields = ['prompt', 'agent', 'model', 'max_budget_usd', 'timeout_seconds', 'callback_url', 'wait_seconds', 'n'];

describe('the nearest name', () => {
  for (const [given, near] of [
    ['promt', 'prompt'],
    ['prmopt', 'prompt'],
    ['Agent', 'agent'],
    ['agents', 'agent'],
    ['timeout_second', 'timeout_seconds'],
    ['timeoutSeconds', 'timeout_seconds'],
    ['timeout-seconds', 'timeout_seconds'],
    ['timeout', 'timeout_seconds'],
    ['timeout_ms', 'timeout_seconds'],
    ['max_budget', 'max_budget_usd'],
    ['budget', 'max_budget_usd'],
    ['callback', 'callback_url'],
    ['nn', undefined],
    ['run_at', undefined],
    ['m', undefined],
    ['', undefined],
    ['__proto__', undefined],
    ['x'.repeat(100_000), undefined],
  ] as const) {
    test(`for ${given.slice(0, 30)} is ${near}`, () => assert.equal(nearestName(given, fields), near));
  }

  test('is suggested; without one all names are listed', () => {
    assert.equal(suggestionFor('statu', ['status', 'limit']), 'did you mean status?');
    assert.equal(suggestionFor('since', ['status', 'limit']), 'there are status, limit');
    assert.equal(suggestionFor('since', []), 'there are none');
  });
});

test('a swap of neighbours is one edit', () => {
  const pairs: [string, string, number][] = [
    ['', 'abc', 3],
    ['abc', 'abc', 0],
    ['prot', 'port', 1],
    ['abc', 'abd', 1],
    ['abc', 'xyz', 3],
  ];
  for (const [one, other, edits] of pairs) assert.equal(editsBetween(one, other), edits, `${one} ${other}`);
});
