/** The sync in worktree mode: runs share it, and it changes nothing in the workspace. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ServiceError } from '../../src/errors.ts';
import type { SyncReport } from '../../src/task.ts';
import { commit, git, makeClone, pushFromElsewhere } from '../support/git-repositories.ts';
import { waitUntil } from '../support/wait-until.ts';
import { never, open, sandbox, worktreesLeft } from './setup.ts';

describe('the sync of worktrees', () => {
  test('is shared by runs that start at the same time, and by later ones for a while', async () => {
    const { clone, remote } = makeClone(sandbox);
    const reports: SyncReport[] = [];
    const workspaces = await open(clone, { syncFreshMs: 60_000, onSync: (report) => reports.push(report) });
    const leases = await Promise.all(['a', 'b', 'c'].map((id) => workspaces.lease(id, never)));
    pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    leases.push(await workspaces.lease('d', never));
    assert.equal(reports.length, 1);
    assert.equal(new Set(leases.map(({ sync }) => sync.revision)).size, 1);
    await Promise.all(leases.map((lease) => lease.release()));
  });

  test('moves a prepared worktree to the new commit', async () => {
    const { clone, remote } = makeClone(sandbox, { 'a.txt': 'one\n', 'old.txt': 'old\n' });
    const workspaces = await open(clone);
    const isReady = () => readdirSync(join(sandbox.dataDir, 'worktrees')).some((name) => name.startsWith('.prepared-'));
    await waitUntil('a worktree is prepared', isReady);
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

  test('includes local commits that contain the upstream, leaves out others, and a note says which', async () => {
    const { clone, remote } = makeClone(sandbox);
    const workspaces = await open(clone);
    const mine = commit(clone, { 'mine.txt': 'mine\n' });
    const ahead = await workspaces.lease('ahead', never);
    assert.equal(ahead.sync.revision, mine);
    assert.deepEqual(ahead.sync.notes, ['Local commits ahead of origin/main are included.']);
    const theirs = pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    const diverged = await workspaces.lease('diverged', never);
    assert.equal(diverged.sync.revision, theirs);
    const leftOut = 'Local commits are left out, because origin/main has other new commits.';
    assert.deepEqual([diverged.sync.detail, diverged.sync.notes], [undefined, [leftOut]]);
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
    assert.equal(lease.sync.revision, rewritten);
    assert.deepEqual(readdirSync(lease.path).sort(), ['.git', 'a.txt', 'c.txt']);
    await lease.release();
  });

  test('that fails leaves runs at the last fetched commit, unless it is required', async () => {
    const { clone, remote } = makeClone(sandbox);
    const workspaces = await open(clone);
    const pushed = pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    await (await workspaces.lease('before', never)).release();
    git(clone, 'remote', 'set-url', 'origin', join(sandbox.folder, 'away.git'));
    const lease = await workspaces.lease('after', never);
    assert.equal(lease.sync.revision, pushed);
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

  test('goes on for the other runs when one is cancelled', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone);
    const cancelling = new AbortController();
    const reason = new ServiceError('cancelled', 'gone');
    const first = workspaces.lease('first', cancelling.signal);
    const second = workspaces.lease('second', never);
    cancelling.abort(reason);
    await assert.rejects(first, (error) => error === reason);
    await (await second).release();
    await waitUntil('nothing is left', () => worktreesLeft().length === 0);
  });
});
