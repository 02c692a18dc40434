/** Without a workspace each run gets an empty folder. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ServiceError } from '../../src/errors.ts';
import { never, open, sandbox } from './setup.ts';

describe('the scratch folder of a run', () => {
  test('is empty, private, inside the data folder, and removed after the run', async () => {
    const workspaces = await open(undefined);
    const lease = await workspaces.lease('run_1', never);
    assert.ok(lease.path.startsWith(sandbox.dataDir));
    assert.deepEqual(readdirSync(lease.path), []);
    assert.equal(statSync(lease.path).mode & 0o077, 0);
    assert.deepEqual(lease.sync, { state: 'off' });
    mkdirSync(join(lease.path, 'locked'));
    writeFileSync(join(lease.path, 'locked/file'), 'x');
    await lease.release();
    assert.equal(existsSync(lease.path), false);
  });

  test('is a different one for each run', async () => {
    const workspaces = await open(undefined);
    const [one, two] = await Promise.all([workspaces.lease('a', never), workspaces.lease('b', never)]);
    assert.notEqual(one.path, two.path);
    await Promise.all([one.release(), two.release()]);
  });

  test('is removed at the next start when the server died', async () => {
    const before = await open(undefined);
    const { path } = await before.lease('orphan', never);
    await open(undefined);
    assert.equal(existsSync(path), false);
  });

  test('is refused to an id that could name another folder', async () => {
    const workspaces = await open(undefined);
    for (const id of ['', '..', '../x', 'a/b', 'a b', 'x'.repeat(200)]) {
      await assert.rejects(workspaces.lease(id, never), (error) => error instanceof ServiceError);
    }
  });

  test('is not made for a run that was cancelled', async () => {
    const workspaces = await open(undefined);
    const reason = new ServiceError('cancelled', 'gone');
    await assert.rejects(workspaces.lease('x', AbortSignal.abort(reason)), (error) => error === reason);
    assert.deepEqual(readdirSync(join(sandbox.dataDir, 'scratch')), []);
  });
});
