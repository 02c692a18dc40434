/** The items and levels of a JSON text are counted correctly, without parsing it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { jsonSize, overJsonLimits } from '../../src/http/json-bounds.ts';
import { seededRandom } from '../support/random.ts';

const x = (count: number) => 'x'.repeat(count);

/** The same count, from the parsed value. */
function sizeOf(value: unknown): { items: number; depth: number } {
  if (typeof value !== 'object' || value === null) return { items: 1, depth: 0 };
  const inner = Object.values(value).map(sizeOf);
  const names = Array.isArray(value) ? 0 : inner.length;
  return {
    items: inner.reduce((sum, { items }) => sum + items, 1 + names),
    depth: 1 + Math.max(0, ...inner.map(({ depth }) => depth)),
  };
}

describe('the size of a JSON text', () => {
  for (const [json, items, depth] of [
    ['1', 1, 0],
    ['-1.5e+3', 1, 0],
    [' true ', 1, 0],
    ['""', 1, 0],
    ['[]', 1, 1],
    ['{}', 1, 1],
    ['[1,2,3]', 4, 1],
    ['[ 1 , null,\n"a",\tfalse ]', 5, 1],
    ['{"a":1}', 3, 1],
    ['{"a":[{"b":"c"}]}', 6, 3],
    ['[[],[[]],[]]', 5, 3],
    ['"[{,:1"', 1, 0],
    [String.raw`["\"[", "\\", "\\\"{", 1]`, 5, 1],
    [String.raw`"\\"`, 1, 0],
    [`["${x(100)}","${x(64)}","${x(63)}"]`, 4, 1],
    [`["${x(100)}${String.raw`\"[\\`}","${x(62)}${String.raw`\"[`}"]`, 3, 1],
    [`["${x(63)}${String.raw`\"[`}${x(80)}${String.raw`\\\"[`}",1]`, 3, 1],
    ['"é\u2028😀["', 1, 0],
    ['', 0, 0],
    ['[[[', 3, 3],
    ['"never closed [', 1, 0],
    ['"\\', 1, 0],
    [']]][', 1, 0],
  ] as const) {
    test(JSON.stringify(json).slice(0, 60), () => {
      assert.deepEqual(jsonSize(Buffer.from(json)), { items, depth });
    });
  }

  test('is that of the parsed value, with any content', () => {
    const random = seededRandom(20_261_127);
    const texts = ['', '"', '\\', '[', '{,', 'é', 'plain', x(64), `${x(63)}"`, `${x(62)}\\`, `${x(70)}\\"\\\\"[`];
    const any = (levels: number): unknown => {
      const kind = random.number(levels > 0 ? 5 : 3);
      if (kind === 0) return random.pick(texts);
      if (kind === 1) return random.pick([0, -12.5, 1e21, true, false, null]);
      if (kind === 2) return random.pick(texts) + random.pick(texts);
      const inner = Array.from({ length: random.number(4) }, () => any(levels - 1));
      if (kind === 3) return inner;
      return Object.fromEntries(inner.map((value, at) => [`${random.pick(texts)}${at}`, value]));
    };
    for (let count = 0; count < 3000; count += 1) {
      const value = any(6);
      for (const indent of [0, 2]) {
        const json = JSON.stringify(value, undefined, indent);
        assert.deepEqual(jsonSize(Buffer.from(json)), sizeOf(value), json);
      }
    }
  });

  test('may reach the limits but not exceed them', () => {
    const limits = { items: 4, depth: 2 };
    assert.equal(overJsonLimits({ items: 4, depth: 2 }, limits), undefined);
    assert.equal(overJsonLimits({ items: 5, depth: 2 }, limits), 'holds 5 names and values; the limit is 4');
    assert.equal(overJsonLimits({ items: 9, depth: 3 }, limits), 'is nested 3 levels deep; the limit is 2');
  });
});
