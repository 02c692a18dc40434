/** Secrets that are made at the first start: made once, readable only by the server's own user, and never replaced. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { findApiKey, loadApiKey } from '../../src/config/api-key.ts';
import { keepSecret } from '../../src/config/kept-secret.ts';
import { scratchFolder } from '../support/fake-model-agent.ts';

test('a secret is kept with mode 0600 in a folder with 0700, with any umask', async (t) => {
  const before = process.umask(0);
  t.after(() => process.umask(before));
  const folder = join(await scratchFolder(t), 'deep', 'data');
  const { token, created } = await loadApiKey(undefined, folder);
  assert.ok(created);
  assert.match(token, /^cas-[\w-]{32}$/);
  assert.equal((await stat(join(folder, 'api-key'))).mode & 0o777, 0o600);
  assert.equal((await stat(folder)).mode & 0o777, 0o700);
  assert.deepEqual(await loadApiKey(undefined, folder), { token, created: false });
  assert.equal(await findApiKey(undefined, folder), token);
});

test('when several callers make a secret at the same time, all get the same one', async (t) => {
  const folder = await scratchFolder(t);
  let made = 0;
  const make = () => {
    made += 1;
    return `secret ${made}`;
  };
  const results = await Promise.all(Array.from({ length: 20 }, () => keepSecret(folder, 'name', make)));
  assert.equal(results.filter(({ created }) => created).length, 1);
  assert.deepEqual(
    [...new Set(results.map(({ secret }) => secret))],
    [(await readFile(join(folder, 'name'), 'utf8')).trim()],
  );
  assert.deepEqual(await readdir(folder), ['name']);
});

test('a secret that cannot be read is not replaced', async (t) => {
  const folder = await scratchFolder(t);
  await mkdir(join(folder, 'api-key'));
  await assert.rejects(loadApiKey(undefined, folder), /^Error: Cannot read .*api-key: EISDIR$/);
  await writeFile(join(folder, 'empty'), '\n');
  await assert.rejects(
    keepSecret(folder, 'empty', () => 'new'),
    /^Error: Cannot use .*empty: it is empty/,
  );
  assert.deepEqual((await readdir(folder)).sort(), ['api-key', 'empty']);
});
