/** A data folder that only one server may use at a time. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { lockFolder } from '../../src/store/folder-lock.ts';
import { waitUntil } from '../support/wait-until.ts';

const holder = `
  import { lockFolder } from ${JSON.stringify(new URL('../../src/store/folder-lock.ts', import.meta.url).href)};
  lockFolder(process.argv[1]);
  process.stdout.write('held');
  setInterval(() => {}, 1000);
`;

test('one process holds the lock until it ends, also when SIGKILL ends it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lock-'));
  const child = spawn(process.execPath, ['--input-type=module', '-e', holder, folder]);
  await once(child.stdout, 'data');
  assert.throws(() => lockFolder(folder), /^Error: Cannot use DATA_DIR=.*: another server is running on it$/);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const release = await waitUntil('the lock is free', () => {
    try {
      return lockFolder(folder);
    } catch {
      return undefined;
    }
  });
  assert.throws(() => lockFolder(folder), /another server/);
  release();
  lockFolder(folder)();
  await rm(folder, { recursive: true });
});
