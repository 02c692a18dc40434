/** The text of a job that is kept: its beginning, in whole characters, without what was dropped. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { WrittenText } from '../../src/store/written-text.ts';

const limit = 1_000_000;
const text = (written: string) => ({ type: 'text' as const, text: written });
const dropped = (length: number) => ({ type: 'text_dropped' as const, length });

function kept(...events: (ReturnType<typeof text> | ReturnType<typeof dropped>)[]): string {
  const written = new WrittenText();
  for (const event of events) written.read(event);
  return written.text;
}

describe('the kept text', () => {
  const long = 'x'.repeat(limit - 1);
  for (const [title, actual, expected] of [
    ['is all of a short text', kept(text('a'), text('b')), 'ab'],
    ['is cut between two characters', kept(text(long), text('😀!')), long],
    ['goes on after no gap', kept(text(long), text('😀'), text('y')), long],
    ['lacks what was dropped', kept(text('ab'), text('cd'), dropped(3), text('e')), 'ae'],
    ['lacks what was dropped beyond the limit', kept(text(long), text('xyz'), dropped(2), text('b')), `${long}x`],
    ['may be dropped as a whole', kept(text('ab'), dropped(2)), ''],
  ] as const) {
    test(title, () => assert.ok(actual === expected, `${actual.length} characters, expected ${expected.length}`));
  }
});
