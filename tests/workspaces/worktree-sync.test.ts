/** The sync of worktrees: shared, off the critical path, and never at the cost of anybody’s work. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ServiceError } from '../../src/errors.ts';
import type { SyncReport } from '../../src/task.ts';
import { commit, git, makeClone, pushFromElsewhere } from '../support/git-repositories.ts';
import { waitUntil } from '../support/wait-until.ts';
import { open, sandbox, worktreesLeft } from './bed.ts';
import { never } from './support.ts';

describe('the sync of worktrees', () => {
  test('is shared by those who come at the same time, and serves for a while', async () => {
    const { clone, remote } = makeClone(sandbox);
    const reports: SyncReport[] = [];
    const workspaces = await open(clone, { syncFreshMs: 60_000, onSync: (report) => reports.push(report) });
    const leases = await Promise.all(['a', 'b', 'c'].map((id) => workspaces.lease(id, never)));
    pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    leases.push(await workspaces.lease('d', never));
    assert.equal(reports.length, 1);
    assert.equal(new Set(leases.map(({ revision }) => revision)).size, 1);
    await Promise.all(leases.map((lease) => lease.release()));
  });

  test('brings a worktree that was made ahead to the new head', async () => {
    const { clone, remote } = makeClone(sandbox, { 'a.txt': 'one\n', 'old.txt': 'old\n' });
    const workspaces = await open(clone);
    const isReady = () => readdirSync(join(sandbox.dataDir, 'worktrees')).some((name) => name.startsWith('.spare-'));
    await waitUntil('a spare is there', isReady);
    const colleague = join(sandbox.folder, 'colleague');
    git(sandbox.folder, 'clone', '-q', remote, colleague);
    rmSync(join(colleague, 'old.txt'));
    const pushed = commit(colleague, { 'a.txt': 'two\n', 'new/b.txt': 'b\n' });
    git(colleague, 'push', '-q');
    const lease = await workspaces.lease('run', never);
    assert.equal(lease.sync.state, 'synced');
    assert.equal(git(lease.path, 'rev-parse', 'HEAD', 'origin/main'), `${pushed}\n${pushed}`);
    assert.equal(git(lease.path, 'status', '--porcelain', '--ignored'), '');
    assert.deepEqual(readdirSync(lease.path).sort(), ['.git', 'a.txt', 'new']);
    assert.deepEqual(await lease.collect(), { revision: pushed, files: [] });
    await lease.release();
  });

  test('builds on local commits that contain the upstream, and leaves out those that do not', async () => {
    const { clone, remote } = makeClone(sandbox);
    const workspaces = await open(clone);
    const mine = commit(clone, { 'mine.txt': 'mine\n' });
    const ahead = await workspaces.lease('ahead', never);
    assert.equal(ahead.revision, mine);
    assert.match(ahead.sync.detail ?? '', /local commits ahead of origin\/main are included/);
    const theirs = pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    const diverged = await workspaces.lease('diverged', never);
    assert.equal(diverged.revision, theirs);
    assert.match(diverged.sync.detail ?? '', /local commits that origin\/main does not have are left out/);
    assert.equal(git(clone, 'rev-parse', 'HEAD'), mine);
    await Promise.all([ahead.release(), diverged.release()]);
  });

  test('follows a history that was rewritten', async () => {
    const { clone, remote } = makeClone(sandbox);
    const workspaces = await open(clone);
    pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    await (await workspaces.lease('before', never)).release();
    const colleague = join(sandbox.folder, 'colleague');
    git(sandbox.folder, 'clone', '-q', remote, colleague);
    git(colleague, 'reset', '-q', '--hard', 'HEAD~1');
    const rewritten = commit(colleague, { 'c.txt': 'three\n' });
    git(colleague, 'push', '-q', '--force');
    const lease = await workspaces.lease('after', never);
    assert.equal(lease.revision, rewritten);
    assert.deepEqual(readdirSync(lease.path).sort(), ['.git', 'a.txt', 'c.txt']);
    await lease.release();
  });

  test('that fails leaves runs on what was fetched last, unless it is required', async () => {
    const { clone, remote } = makeClone(sandbox);
    const workspaces = await open(clone);
    const pushed = pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    await (await workspaces.lease('before', never)).release();
    git(clone, 'remote', 'set-url', 'origin', join(sandbox.folder, 'away.git'));
    const lease = await workspaces.lease('after', never);
    assert.equal(lease.revision, pushed);
    assert.deepEqual(lease.sync, {
      state: 'failed',
      detail: "'away.git' does not appear to be a git repository",
      revision: pushed,
    });
    await lease.release();
    const strict = await open(clone, { dataDir: join(sandbox.folder, 'data2'), gitSync: 'required' });
    await assert.rejects(strict.lease('run', never), (error) => {
      return error instanceof ServiceError && error.code === 'workspace_unavailable';
    });
  });

  test('is given up by a run without being lost for the others', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone);
    const givingUp = new AbortController();
    const reason = new ServiceError('cancelled', 'gone');
    const first = workspaces.lease('first', givingUp.signal);
    const second = workspaces.lease('second', never);
    givingUp.abort(reason);
    await assert.rejects(first, (error) => error === reason);
    await (await second).release();
    await waitUntil('nothing is left', () => worktreesLeft().length === 0);
  });
});
