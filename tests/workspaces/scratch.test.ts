/** An empty folder for each run, where there is no workspace. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import { ServiceError } from '../../src/errors.ts';
import { makeSandbox, type Sandbox } from '../support/git-repositories.ts';
import { never, openWorkspaces } from './support.ts';

describe('without a workspace every run gets a scratch folder', () => {
  let sandbox: Sandbox;
  beforeEach(() => {
    sandbox?.remove();
    sandbox = makeSandbox();
  });
  after(() => sandbox.remove());

  test('it is empty, private, inside the data folder, and gone after the run', async () => {
    const workspaces = await openWorkspaces(sandbox);
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

  test('two runs have different folders', async () => {
    const workspaces = await openWorkspaces(sandbox);
    const [one, two] = await Promise.all([workspaces.lease('a', never), workspaces.lease('b', never)]);
    assert.notEqual(one.path, two.path);
    await Promise.all([one.release(), two.release()]);
  });

  test('what a dead server left is removed at the next start', async () => {
    const before = await openWorkspaces(sandbox);
    const { path } = await before.lease('orphan', never);
    await openWorkspaces(sandbox);
    assert.equal(existsSync(path), false);
  });

  test('an id that could name another folder is refused', async () => {
    const workspaces = await openWorkspaces(sandbox);
    for (const id of ['', '..', '../x', 'a/b', 'a b', 'x'.repeat(200)]) {
      await assert.rejects(workspaces.lease(id, never), (error) => error instanceof ServiceError);
    }
  });

  test('a run that was given up gets no folder', async () => {
    const workspaces = await openWorkspaces(sandbox);
    const reason = new ServiceError('cancelled', 'gone');
    await assert.rejects(workspaces.lease('x', AbortSignal.abort(reason)), (error) => error === reason);
    assert.deepEqual(readdirSync(join(sandbox.dataDir, 'scratch')), []);
  });
});
