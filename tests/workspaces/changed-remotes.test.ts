/** In a shared workspace, a run can write `.git`, but does not choose which repository the server fetches from or pushes to. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { commit, git, makeClone, pushFromElsewhere, write } from '../support/git-repositories.ts';
import { never, open, sandbox } from './setup.ts';

const shared = { workspaceMode: 'shared' } as const;

/** A repository that the run must not reach, with a branch `main`. */
function makeOther(): string {
  const other = join(sandbox.folder, 'other');
  mkdirSync(other);
  git(other, 'init', '-q', '--initial-branch=main');
  commit(other, { 'private.txt': 'private\n' });
  git(other, 'checkout', '-q', '--detach');
  return other;
}

/** What a run does to the settings of the workspace. `other` is the path of another repository. */
const changes: Record<string, (clone: string, other: string, remote: string) => void> = {
  'the URL of the remote': (clone, other) => git(clone, 'config', 'remote.origin.url', other),
  'the URL for a push': (clone, other) => git(clone, 'config', 'remote.origin.pushUrl', other),
  'a second URL': (clone, other) => git(clone, 'config', '--add', 'remote.origin.url', other),
  'the beginning of the URL': (clone, other, remote) => git(clone, 'config', `url.${other}.insteadOf`, remote),
  'the beginning of the URL for a push': (clone, other, remote) =>
    git(clone, 'config', `url.${other}.pushInsteadOf`, remote),
  'the refs to fetch': (clone) => git(clone, 'config', 'remote.origin.fetch', '+refs/heads/*:refs/heads/*'),
  'the settings file, by another one': (clone, other) => {
    write(clone, { '.git/more': `[remote "origin"]\n\turl = ${other}\n\tpushUrl = ${other}\n` });
    git(clone, 'config', 'include.path', 'more');
  },
  'the remote of the branch': (clone, other) => {
    git(clone, 'remote', 'add', 'second', other);
    git(clone, 'config', 'branch.main.remote', 'second');
  },
};

describe('the server uses the remotes as they were at its start, although a run has changed', () => {
  for (const [what, change] of Object.entries(changes)) {
    test(what, async () => {
      const { clone, remote } = makeClone(sandbox);
      const other = makeOther();
      const workspaces = await open(clone, shared);
      const first = await workspaces.lease('first', never);
      change(clone, other, remote);
      await first.release();
      const pushed = pushFromElsewhere(sandbox, remote, { 'new.txt': 'new\n' });
      const run = await workspaces.lease('run', never);
      assert.equal(existsSync(join(clone, 'private.txt')), false);
      if (run.sync.state === 'off') assert.equal(run.sync.detail, 'the remote of the branch main is unknown');
      else assert.equal(run.sync.revision, pushed);
      if (what !== 'the refs to fetch')
        assert.match(run.sync.notes?.join() ?? '', /changed since.*: (remote|url)\.\*\./);
      assert.equal(run.fileNotes, undefined);
      write(clone, { 'b.txt': 'b\n' });
      assert.equal((await run.deliver({ branch: 'agent/run', message: 'x' })).state, 'pushed');
      assert.equal(git(remote, 'show', 'agent/run:b.txt'), 'b');
      assert.equal(git(other, 'branch', '--list', 'agent/*'), '');
      await run.release();
    });
  }
});

test('a remote that the user has changed counts after a restart of the server', async () => {
  const { clone } = makeClone(sandbox);
  const other = makeOther();
  git(clone, 'fetch', '-q', other, 'main');
  git(clone, 'reset', '-q', '--hard', 'FETCH_HEAD');
  const latest = commit(other, { 'b.txt': 'b\n' });
  git(other, 'branch', '-f', 'main');
  await (await open(clone, shared)).lease('before', never).then((run) => run.release());
  git(clone, 'config', 'remote.origin.url', other);
  const run = await (await open(clone, shared)).lease('after', never);
  assert.deepEqual(run.sync, { state: 'synced', revision: latest });
});

test('a run that makes a repository of a plain folder does not lead the git of the server into another one', async () => {
  const folder = join(sandbox.folder, 'folder');
  mkdirSync(folder);
  const other = makeOther();
  const workspaces = await open(folder, shared);
  await (await workspaces.lease('first', never)).release();
  write(folder, { '.git': `gitdir: ${other}/.git\n` });
  const run = await workspaces.lease('run', never);
  assert.deepEqual(run.sync, {
    state: 'off',
    detail: 'the workspace was not a git repository at the start of the server',
  });
  assert.match((await run.collect()).patchOmitted ?? '', /was not a git repository/);
  assert.equal((await run.deliver({ branch: 'agent/run', message: 'x' })).state, 'failed');
  assert.match((await workspaces.undeliverable()) ?? '', /was not a git repository/);
});

test('a remote that a run adds is not a remote for the server', async () => {
  const folder = join(sandbox.folder, 'folder');
  mkdirSync(folder);
  git(folder, 'init', '-q', '--initial-branch=main');
  commit(folder, { 'a.txt': 'one\n' });
  const other = makeOther();
  const workspaces = await open(folder, shared);
  git(folder, 'remote', 'add', 'origin', other);
  const run = await workspaces.lease('run', never);
  assert.equal(run.sync.detail, 'the repository has no remote');
  write(folder, { 'b.txt': 'b\n' });
  const delivery = await run.deliver({ branch: 'agent/run', message: 'x' });
  assert.deepEqual([delivery.state, delivery.detail], ['failed', 'the repository has no remote']);
  assert.equal(await workspaces.undeliverable(), 'the repository has no remote');
});
