/** The documents name files and functions that exist. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

const names = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'docs/ARCHITECTURE.md', 'docs/jobs.md', 'docs/openai.md'];
const documents = [
  ...names,
  'docs/performance.md',
  'docs/reliability.md',
  'docs/security.md',
  'docs/workspaces.md',
].map((name) => ({
  name,
  text: readFileSync(join(root, name), 'utf8'),
}));

test('each walk in ARCHITECTURE names files and functions that exist, at most 12, and no file twice', () => {
  const text = documents.find(({ name }) => name === 'docs/ARCHITECTURE.md')?.text ?? '';
  const section = text.split(/^## /m).find((part) => part.startsWith('Three walks')) ?? '';
  const walks = section.split(/\n\n(?=1\. )/).slice(1);
  assert.equal(walks.length, 3);
  for (const walk of walks) {
    const hops = [...walk.matchAll(/^\d+\. `([\w/.-]+): (#?\w+)`/gm)].map(([, file = '', name = '']) => ({
      file,
      name,
    }));
    assert.ok(hops.length > 5 && hops.length <= 12, `${hops.length} hops`);
    assert.equal(new Set(hops.map(({ file }) => file)).size, hops.length);
    for (const { file, name } of hops) {
      const source = readFileSync(join(root, 'src', file), 'utf8');
      assert.match(source, new RegExp(`(function\\*? |class |^ +(async )?\\*?)${name}\\b`, 'm'), file);
    }
  }
});

test('the files that the documents name exist', () => {
  const missing = documents.flatMap(({ name, text }) =>
    [...text.matchAll(/(?<![\w./~])(?:[\w-][\w.-]*\/)+[\w.-]+\.(?:ts|json|md)\b/g)]
      .map(([path]) => path)
      .filter((path) => !path.includes('node_modules'))
      .filter(
        (path) => !['', 'src', 'docs', 'tests', dirname(name)].some((folder) => existsSync(join(root, folder, path))),
      )
      .map((path) => `${name}: ${path}`),
  );
  assert.deepEqual(missing, []);
});
