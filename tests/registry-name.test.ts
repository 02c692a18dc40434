/** This project is in no registry, and the package of that name there belongs to others: no text may run or install it. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const name = 'claude-agent-server';

const runs = String.raw`\b(?:npx|pnpx|bunx|(?:npm|pnpm|yarn|bun) (?:exec|x|dlx|install|i|add|global add))\b`;
/** Not a path or a file that begins with the name. */
const byName = String.raw`(?<![\w./@-])${name}(?![\w/-]|\.\w)`;
const fromRegistry = new RegExp(String.raw`${runs}(?:[^\n${'`'};&|]|\\\n)*?${byName}`);

function textFiles(): string[] {
  const passedOver = new Set(['node_modules', '.git', 'dist']);
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => !passedOver.has(entry.name) && !entry.name.endsWith('.tgz'))
    .flatMap((entry) => {
      if (!entry.isDirectory()) return [entry.name];
      const within = readdirSync(join(root, entry.name), { recursive: true, withFileTypes: true });
      return within.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name).slice(root.length));
    });
}

test('no text runs or installs a package by the name of this project', () => {
  const files = textFiles();
  for (const known of ['README.md', join('docs', 'jobs.md'), join('.ci', 'run')])
    assert.ok(files.includes(known), known);
  const found = files.filter((file) => fromRegistry.test(readFileSync(join(root, file), 'utf8')));
  assert.deepEqual(
    found.map((file) => file.split(sep).join('/')),
    [],
  );
});

test('the rule of that test distinguishes a registry from a file', () => {
  const wrong = [
    `npx ${name} jobs run`,
    `npx --yes ${name}@latest`,
    `npm install --global ${name}`,
    `npm install \\\n  ${name}.`,
    `npm exec -- ${name} jobs`,
    `pnpm dlx ${name}`,
    `yarn add ${name}`,
  ];
  const right = [
    `npm install ./${name}-0.1.0.tgz`,
    `npm install && ${name} serve`,
    `npm install\n${name} serve`,
    `node ${name}/bin/${name}.js jobs run`,
    `npm install ../${name}`,
    `./node_modules/.bin/${name} jobs run`,
    `npm run jobs -- run "..."`,
  ];
  for (const text of wrong) assert.match(text, fromRegistry);
  for (const text of right) assert.doesNotMatch(text, fromRegistry);
});

test('the package cannot be published by mistake', () => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { private: boolean };
  assert.equal(manifest.private, true);
});
