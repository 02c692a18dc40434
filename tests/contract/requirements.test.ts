/** Every requirement has a test, and every id that a test cites exists. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { requirements } from './requirements.ts';

const tests = fileURLToPath(new URL('..', import.meta.url));

function citedIds(): Set<string> {
  const texts = readdirSync(tests, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => readFileSync(join(tests, name), 'utf8'));
  const citations = texts.flatMap((text) => [...text.matchAll(/\brequirement\(\s*(\[[^\]]*\]|'[^']*')/g)]);
  return new Set(citations.flatMap(([, ids = '']) => [...ids.matchAll(/'([^']+)'/g)].map(([, id = '']) => id)));
}

test('every requirement is cited by a test, and no other id is cited', () => {
  const known = requirements.map(({ id }) => id);
  assert.deepEqual([...citedIds()].sort(), [...known].sort());
});

test('no two requirements have the same id', () => {
  assert.equal(new Set(requirements.map(({ id }) => id)).size, requirements.length);
});
