/** The shared mode: runs work in the workspace itself, one at a time, and it is synced before each. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ServiceError } from '../../src/errors.ts';
import type { SyncReport } from '../../src/task.ts';
import { commit, git, gitEnvironment, makeClone, pushFromElsewhere, write } from '../support/git-repositories.ts';
import { never, open, sandbox } from './setup.ts';

/** Everything of the user's that a sync could lose. */
function stateOf(folder: string): string {
  return [
    git(folder, 'rev-parse', 'HEAD'),
    git(folder, 'symbolic-ref', '-q', 'HEAD'),
    git(folder, 'status', '--porcelain=v2', '--untracked-files=all'),
    git(folder, 'diff', '--binary'),
    git(folder, 'diff', '--cached', '--binary'),
    git(folder, 'stash', 'list'),
    git(folder, 'for-each-ref', 'refs/heads'),
  ].join('\n---\n');
}

async function sync(clone: string, gitSync: 'best-effort' | 'required' | 'off' = 'best-effort', timeoutMs = 20_000) {
  const workspaces = await open(clone, { workspaceMode: 'shared', gitSync, gitSyncTimeoutMs: timeoutMs });
  const lease = await workspaces.lease('run', never);
  await lease.release();
  return lease.sync;
}

describe('a shared workspace', () => {
  test('is itself the folder of a run', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone, { workspaceMode: 'shared' });
    const lease = await workspaces.lease('run', never);
    assert.equal(lease.path, clone);
    await lease.release();
  });

  test('is given to one run at a time, in the order of arrival', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone, { workspaceMode: 'shared', gitSync: 'off' });
    const order: string[] = [];
    const use = async (id: string) => {
      const lease = await workspaces.lease(id, never);
      order.push(`${id} in`);
      await new Promise((resolve) => setImmediate(resolve));
      order.push(`${id} out`);
      await lease.release();
    };
    await Promise.all([use('a'), use('b'), use('c')]);
    assert.deepEqual(order, ['a in', 'a out', 'b in', 'b out', 'c in', 'c out']);
  });

  test('is not given to a run that was cancelled while it waited, but to the next one', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone, { workspaceMode: 'shared', gitSync: 'off' });
    const first = await workspaces.lease('first', never);
    const cancelling = new AbortController();
    const second = workspaces.lease('second', cancelling.signal);
    const third = workspaces.lease('third', never);
    const reason = new ServiceError('cancelled', 'gone');
    cancelling.abort(reason);
    await assert.rejects(second, (error) => error === reason);
    await first.release();
    await (await third).release();
  });

  test('can be a plain folder, without a sync', async () => {
    const folder = join(sandbox.folder, 'plain');
    mkdirSync(folder);
    const workspaces = await open(folder);
    const lease = await workspaces.lease('run', never);
    assert.equal(lease.path, folder);
    assert.deepEqual(lease.sync, { state: 'off', detail: 'the workspace is not a git repository' });
    await lease.release();
  });

  test('is refused at the start when there is no such folder', async () => {
    await assert.rejects(open(join(sandbox.folder, 'nowhere')), /no such folder/);
  });
});

describe('the sync of a shared workspace', () => {
  test('fast-forwards to the upstream', async () => {
    const { clone, remote } = makeClone(sandbox);
    const pushed = pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    assert.deepEqual(await sync(clone), { state: 'synced', revision: pushed });
    assert.equal(readFileSync(join(clone, 'b.txt'), 'utf8'), 'two\n');
    assert.equal(git(clone, 'status', '--porcelain'), '');
    assert.equal(git(clone, 'rev-parse', 'origin/main'), pushed);
    assert.deepEqual(await sync(clone), { state: 'unchanged', revision: pushed });
  });

  test('rebases local commits onto the upstream', async () => {
    const { clone, remote } = makeClone(sandbox);
    commit(clone, { 'mine.txt': 'mine\n' }, 'mine');
    const pushed = pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    assert.equal((await sync(clone)).state, 'synced');
    assert.equal(git(clone, 'rev-parse', 'HEAD~1'), pushed);
    assert.equal(git(clone, 'log', '-1', '--format=%s %an'), 'mine Ada');
    assert.equal(git(clone, 'status', '--porcelain'), '');
    assert.equal(git(clone, 'symbolic-ref', 'HEAD'), 'refs/heads/main');
  });

  test('keeps local commits as they are when the upstream has nothing new', async () => {
    const { clone } = makeClone(sandbox);
    const mine = commit(clone, { 'mine.txt': 'mine\n' });
    assert.deepEqual(await sync(clone), { state: 'unchanged', revision: mine });
  });

  test('changes nothing when local commits conflict, and names the file', async () => {
    const { clone, remote } = makeClone(sandbox);
    commit(clone, { 'a.txt': 'mine\n' });
    write(clone, { 'untracked.txt': 'keep me\n' });
    pushFromElsewhere(sandbox, remote, { 'a.txt': 'theirs\n' });
    const before = stateOf(clone);
    const report = await sync(clone);
    assert.equal(report.state, 'failed');
    assert.match(report.detail ?? '', /conflict with origin\/main in a\.txt/);
    assert.equal(stateOf(clone), before);
  });

  test('fast-forwards and keeps uncommitted work, staged or not', async () => {
    const { clone, remote } = makeClone(sandbox, { 'a.txt': 'one\n', 'b.txt': 'one\n', 'c.txt': 'one\n' });
    write(clone, { 'a.txt': 'staged\n', 'new.txt': 'staged\n' });
    git(clone, 'add', 'a.txt', 'new.txt');
    write(clone, { 'a.txt': 'staged, then changed\n', 'b.txt': 'changed\n', 'untracked.txt': 'x\n' });
    const [unstaged, staged] = [git(clone, 'diff'), git(clone, 'diff', '--cached')];
    const pushed = pushFromElsewhere(sandbox, remote, { 'c.txt': 'two\n' });
    assert.deepEqual(await sync(clone), { state: 'synced', revision: pushed });
    assert.equal(git(clone, 'diff'), unstaged);
    assert.equal(git(clone, 'diff', '--cached'), staged);
    assert.equal(readFileSync(join(clone, 'untracked.txt'), 'utf8'), 'x\n');
  });

  test('never overwrites uncommitted work', async () => {
    const { clone, remote } = makeClone(sandbox);
    write(clone, { 'a.txt': 'uncommitted\n', 'untracked.txt': 'mine\n' });
    pushFromElsewhere(sandbox, remote, { 'a.txt': 'theirs\n', 'untracked.txt': 'theirs\n' });
    const before = stateOf(clone);
    const report = await sync(clone);
    assert.equal(report.state, 'failed');
    assert.match(report.detail ?? '', /would be overwritten by merge: a\.txt$/);
    assert.equal(stateOf(clone), before);
  });

  test('does not rebase when there is uncommitted work', async () => {
    const { clone, remote } = makeClone(sandbox);
    commit(clone, { 'mine.txt': 'mine\n' });
    write(clone, { 'a.txt': 'uncommitted\n' });
    pushFromElsewhere(sandbox, remote, { 'b.txt': 'theirs\n' });
    const before = stateOf(clone);
    const report = await sync(clone);
    assert.match(report.detail ?? '', /uncommitted changes forbid a rebase/);
    assert.equal(stateOf(clone), before);
  });

  test('changes nothing while a merge of the user is in progress', async () => {
    const { clone, remote } = makeClone(sandbox);
    git(clone, 'checkout', '-q', '-b', 'side');
    commit(clone, { 'a.txt': 'side\n' });
    git(clone, 'checkout', '-q', 'main');
    commit(clone, { 'a.txt': 'main\n' });
    assert.throws(() => git(clone, 'merge', 'side'));
    pushFromElsewhere(sandbox, remote, { 'b.txt': 'theirs\n' });
    const before = stateOf(clone);
    const report = await sync(clone);
    assert.deepEqual([report.state, report.detail], ['failed', 'a merge is in progress in the workspace']);
    assert.equal(stateOf(clone), before);
  });

  test('gives the reason when there is nothing to sync with, and the run goes on', async () => {
    const { clone } = makeClone(sandbox);
    const revision = git(clone, 'rev-parse', 'HEAD');
    git(clone, 'checkout', '-q', '-b', 'alone');
    assert.deepEqual(await sync(clone), { state: 'off', detail: 'the branch alone has no upstream', revision });
    git(clone, 'checkout', '-q', '--detach');
    assert.deepEqual(await sync(clone), { state: 'off', detail: 'the workspace is at a detached HEAD', revision });
    git(clone, 'checkout', '-q', 'main');
    git(clone, 'remote', 'remove', 'origin');
    assert.deepEqual(await sync(clone), { state: 'off', detail: 'the repository has no remote', revision });
    git(clone, 'branch', '-q', '-m', 'main', 'gone');
    const empty = join(sandbox.folder, 'empty');
    git(sandbox.folder, 'init', '-q', empty);
    assert.deepEqual(await sync(empty), { state: 'off', detail: 'the repository has no remote', revision: undefined });
  });

  test('fetches the first commits of a clone that was empty', async () => {
    const remote = join(sandbox.folder, 'young.git');
    git(sandbox.folder, 'init', '-q', '--bare', '--initial-branch=main', remote);
    const clone = join(sandbox.folder, 'young');
    git(sandbox.folder, 'clone', '-q', remote, clone);
    git(clone, 'symbolic-ref', 'HEAD', 'refs/heads/main');
    git(clone, 'config', 'branch.main.remote', 'origin');
    git(clone, 'config', 'branch.main.merge', 'refs/heads/main');
    const pushed = pushFromElsewhere(sandbox, remote, { 'a.txt': 'one\n' });
    assert.deepEqual(await sync(clone), { state: 'synced', revision: pushed });
    assert.equal(readFileSync(join(clone, 'a.txt'), 'utf8'), 'one\n');
  });

  test('does not happen when it is off', async () => {
    const { clone, remote } = makeClone(sandbox);
    pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    assert.deepEqual(await sync(clone, 'off'), { state: 'off' });
  });

  test('fails the run when it is required and fails, with an error without path and password', async () => {
    const { clone } = makeClone(sandbox);
    git(clone, 'remote', 'set-url', 'origin', join(sandbox.folder, 'moved-away.git'));
    await assert.rejects(sync(clone, 'required'), (error) => {
      assert.ok(error instanceof ServiceError);
      assert.equal(error.code, 'workspace_unavailable');
      assert.match(error.message, /GIT_SYNC is required: 'moved-away\.git' does not appear to be a git repository/);
      assert.equal(error.message.includes(sandbox.folder), false);
      return true;
    });
    git(clone, 'remote', 'set-url', 'origin', 'http://user:secret@127.0.0.1:1/x.git?token=secret');
    const report = await sync(clone);
    assert.equal(report.state, 'failed');
    assert.match(report.detail ?? '', /127\.0\.0\.1/);
    assert.doesNotMatch(report.detail ?? '', /secret|user/);
    git(clone, 'checkout', '-q', '--detach');
    await assert.rejects(sync(clone, 'required'), /detached HEAD/);
  });

  test('stops at its deadline, and when its run is cancelled', async () => {
    const { clone } = makeClone(sandbox);
    const silent = join(sandbox.folder, 'ssh');
    writeFileSync(silent, '#!/bin/sh\nexec sleep 60\n', { mode: 0o755 });
    git(clone, 'remote', 'set-url', 'origin', 'host.invalid:x.git');
    const workspaces = await open(clone, {
      workspaceMode: 'shared',
      gitSyncTimeoutMs: 300,
      environment: { ...gitEnvironment, GIT_SSH: silent },
    });
    const lease = await workspaces.lease('run', never);
    assert.deepEqual([lease.sync.state, lease.sync.detail], ['failed', 'git took longer than 0.3 s']);
    await lease.release();
    const patient = await open(clone, { workspaceMode: 'shared', environment: { ...gitEnvironment, GIT_SSH: silent } });
    const reason = new ServiceError('cancelled', 'gone');
    const cancelling = new AbortController();
    const leasing = patient.lease('run', cancelling.signal);
    setTimeout(() => cancelling.abort(reason), 100);
    await assert.rejects(leasing, (error) => error === reason);
  });

  test('is reported to the log with its duration', async () => {
    const { clone } = makeClone(sandbox);
    const reports: [SyncReport, number][] = [];
    const workspaces = await open(clone, {
      workspaceMode: 'shared',
      onSync: (report, ms) => reports.push([report, ms]),
    });
    await (await workspaces.lease('run', never)).release();
    assert.equal(reports.length, 1);
    assert.equal(reports[0]?.[0].state, 'unchanged');
    assert.ok((reports[0]?.[1] ?? 0) > 0);
  });
});
