/** The order in which a fair queue serves the items of several owners. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FairQueue } from '../../src/admission/fair-queue.ts';

/** Items are written `a1`: the owner's letter and the number of the owner's item. */
function queueOf(items: string): FairQueue<string> {
  const queue = new FairQueue<string>();
  for (const item of items.split(' ')) queue.add(item.slice(0, 1), item);
  return queue;
}

function drain(queue: FairQueue<string>): string {
  const order: string[] = [];
  for (let item = queue.take(); item !== undefined; item = queue.take()) order.push(item);
  return order.join(' ');
}

for (const [rule, added, served] of [
  ['the items of one owner keep their order', 'a1 a2 a3', 'a1 a2 a3'],
  ['two owners alternate', 'a1 a2 b1 b2', 'a1 b1 a2 b2'],
  ['an owner with many items does not delay one with a single item', 'a1 a2 a3 a4 b1', 'a1 b1 a2 a3 a4'],
  ['owners are served in the order in which they arrived', 'c1 a1 b1 a2 c2', 'c1 a1 b1 c2 a2'],
] as const) {
  test(rule, () => assert.equal(drain(queueOf(added)), served));
}

test('an owner that was just served waits for the rest of the round', () => {
  const queue = queueOf('a1 b1 c1');
  assert.equal(queue.take(), 'a1');
  queue.add('a', 'a2');
  assert.equal(drain(queue), 'b1 c1 a2');
});

test('a removed item is not served, and the size follows every change', () => {
  const queue = queueOf('a1 a2 b1');
  queue.remove('a', 'a1');
  queue.remove('b', 'a2');
  assert.equal(queue.size, 2);
  assert.equal(drain(queue), 'a2 b1');
  assert.equal(queue.size, 0);
});

test('clearing returns every item and empties the queue', () => {
  const queue = queueOf('a1 a2 b1');
  assert.deepEqual(queue.clear().sort(), ['a1', 'a2', 'b1']);
  assert.equal(queue.size, 0);
  assert.equal(queue.take(), undefined);
});
