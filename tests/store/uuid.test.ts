/** Identifiers of one process are valid UUIDs of version 7 and always grow. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { orderedUuid } from '../../src/store/uuid.ts';

const start = Date.UTC(2100, 0, 1);

for (const [rule, timeOf, count] of [
  ['in the order of time', (at: number) => start + at, 100],
  ['within one millisecond', () => start + 1000, 100],
  ['when more are made in one millisecond than its counter holds', () => start + 2000, 10_000],
  ['when the clock goes back', (at: number) => start + 3000 - at, 100],
] as const) {
  test(`identifiers grow ${rule}`, () => {
    const ids = Array.from({ length: count }, (_, at) => orderedUuid(timeOf(at)));
    assert.deepEqual(ids, [...ids].sort());
    assert.equal(new Set(ids).size, count);
    for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
}

test('an identifier begins with its time', () => {
  const id = orderedUuid(start + 60_000);
  assert.equal(Number.parseInt(id.replace('-', '').slice(0, 12), 16), start + 60_000);
});
