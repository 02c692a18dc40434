/** Upstreams whose history was rewritten: what they dropped lives on nowhere, and commits of the user are kept. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { WorkspaceSettings } from '../../src/workspaces/create.ts';
import { commit, git, makeClone, write } from '../support/git-repositories.ts';
import { never, open, sandbox } from './setup.ts';

/** The user has pulled `old.txt`, the latest commit of the upstream. */
function makeGround(): { clone: string; remote: string; colleague: string } {
  const { clone, remote } = makeClone(sandbox);
  commit(clone, { 'old.txt': 'old\n' }, 'old');
  git(clone, 'push', '-q');
  const colleague = join(sandbox.folder, 'colleague');
  git(sandbox.folder, 'clone', '-q', remote, colleague);
  return { clone, remote, colleague };
}

/** Each rewrites the upstream so that it no longer has the commit `old`. Returns the files that the upstream then has. */
const rewrites: Record<string, (colleague: string) => string[]> = {
  'a dropped commit': (colleague) => {
    git(colleague, 'reset', '-q', '--hard', 'HEAD~1');
    git(colleague, 'push', '-q', '--force');
    return ['a.txt'];
  },
  'an amended commit': (colleague) => {
    git(colleague, 'mv', 'old.txt', 'amended.txt');
    git(colleague, 'commit', '-q', '--amend', '-m', 'amended');
    git(colleague, 'push', '-q', '--force');
    return ['a.txt', 'amended.txt'];
  },
  'a dropped commit and a new one': (colleague) => {
    git(colleague, 'reset', '-q', '--hard', 'HEAD~1');
    commit(colleague, { 'new.txt': 'new\n' });
    git(colleague, 'push', '-q', '--force');
    return ['a.txt', 'new.txt'];
  },
  'squashed commits': (colleague) => {
    git(colleague, 'reset', '-q', '--soft', 'HEAD~1');
    git(colleague, 'commit', '-q', '--amend', '-m', 'squashed');
    git(colleague, 'push', '-q', '--force');
    return ['a.txt', 'old.txt'];
  },
  'a branch that was deleted and made anew': (colleague) => {
    git(colleague, 'checkout', '-q', '--orphan', 'again');
    git(colleague, 'rm', '-rqf', '.');
    commit(colleague, { 'again.txt': 'again\n' });
    // The remote refuses to delete its current branch.
    git(join(colleague, '../remote.git'), 'update-ref', '-d', 'refs/heads/main');
    git(colleague, 'push', '-q', 'origin', 'again:main');
    return ['again.txt'];
  },
};

const filesOf = (folder: string) => readdirSync(folder).filter((name) => name !== '.git');

async function lease(clone: string, settings: Partial<WorkspaceSettings>, id = 'run') {
  return (await open(clone, settings)).lease(id, never);
}

for (const [what, rewrite] of Object.entries(rewrites)) {
  describe(`an upstream with ${what}`, () => {
    for (const seenBefore of [true, false]) {
      const when = seenBefore ? 'that the server saw before' : 'that the server has not seen before';
      test(`${when}: a worktree has only the files of the upstream`, async () => {
        const { clone, remote, colleague } = makeGround();
        const workspaces = await open(clone);
        if (seenBefore) await (await workspaces.lease('before', never)).release();
        const files = rewrite(colleague);
        const run = await workspaces.lease('run', never);
        assert.deepEqual(filesOf(run.path), files);
        assert.equal(run.sync.revision, git(remote, 'rev-parse', 'main'));
        assert.deepEqual([run.sync.state, run.sync.notes], ['synced', undefined]);
        write(run.path, { 'work.txt': 'work\n' });
        assert.equal((await run.deliver({ branch: 'agent/run', message: 'x' })).state, 'pushed');
        const pushed = git(remote, 'log', '--format=%s', 'agent/run').split('\n');
        assert.deepEqual(pushed, ['x', ...git(remote, 'log', '--format=%s', 'main').split('\n')]);
      });
    }

    test('moves a shared workspace without local commits, also with uncommitted changes', async () => {
      const { clone, remote, colleague } = makeGround();
      const files = rewrite(colleague);
      write(clone, { 'mine.txt': 'mine\n', 'staged.txt': 'staged\n' });
      git(clone, 'add', 'staged.txt');
      const run = await lease(clone, { workspaceMode: 'shared', gitSync: 'required' });
      assert.equal(git(clone, 'rev-parse', 'HEAD'), git(remote, 'rev-parse', 'main'));
      assert.equal(git(clone, 'symbolic-ref', 'HEAD'), 'refs/heads/main');
      assert.deepEqual(filesOf(clone), [...files, 'mine.txt', 'staged.txt'].sort());
      assert.equal(git(clone, 'status', '--porcelain'), 'A  staged.txt\n?? mine.txt');
      await run.release();
    });

    test('keeps the local commits of a shared workspace, and only these', async () => {
      const { clone, remote, colleague } = makeGround();
      commit(clone, { 'mine.txt': 'mine\n' }, 'mine');
      commit(clone, { 'mine.txt': 'mine too\n' }, 'mine too');
      const files = rewrite(colleague);
      const run = await lease(clone, { workspaceMode: 'shared', gitSync: 'required' });
      assert.deepEqual(filesOf(clone), [...files, 'mine.txt'].sort());
      assert.equal(git(clone, 'log', '--format=%s', 'origin/main..HEAD'), 'mine too\nmine');
      assert.equal(git(clone, 'merge-base', 'HEAD', 'origin/main'), git(remote, 'rev-parse', 'main'));
      await run.release();
    });

    test('leaves the local commits out of a worktree, with a note, and does not touch them', async () => {
      const { clone, remote, colleague } = makeGround();
      const mine = commit(clone, { 'mine.txt': 'mine\n' }, 'mine');
      const files = rewrite(colleague);
      const run = await lease(clone, {});
      assert.deepEqual(filesOf(run.path), files);
      assert.equal(run.sync.revision, git(remote, 'rev-parse', 'main'));
      assert.match(run.sync.notes?.join() ?? '', /^Local commits are left out/);
      assert.equal(git(clone, 'rev-parse', 'HEAD'), mine);
    });
  });
}

describe('an upstream that dropped a commit', () => {
  test('is followed although the user has fetched after that', async () => {
    const { clone, colleague } = makeGround();
    rewrites['a dropped commit']?.(colleague);
    git(clone, 'fetch', '-q');
    assert.deepEqual(filesOf((await lease(clone, {})).path), ['a.txt']);
    const shared = await lease(clone, { workspaceMode: 'shared', dataDir: join(sandbox.folder, 'data2') });
    assert.equal(existsSync(join(clone, 'old.txt')), false);
    await shared.release();
  });

  test('is followed although only the server has ever fetched that commit', async () => {
    const { clone, remote } = makeClone(sandbox);
    git(clone, 'config', 'core.logAllRefUpdates', 'false');
    const workspaces = await open(clone);
    const first = git(remote, 'rev-parse', 'main');
    // A push to an address changes no tracking ref.
    const dropped = commit(clone, { 'old.txt': 'old\n' });
    git(clone, 'push', '-q', remote, 'HEAD:main');
    assert.equal((await workspaces.lease('before', never)).sync.revision, dropped);
    git(remote, 'update-ref', 'refs/heads/main', first);
    assert.deepEqual(filesOf((await workspaces.lease('after', never)).path), ['a.txt']);
    assert.deepEqual(filesOf((await workspaces.lease('later', never)).path), ['a.txt']);
  });

  test('does not move a shared workspace over an uncommitted change of a dropped file', async () => {
    const { clone, colleague } = makeGround();
    rewrites['a dropped commit']?.(colleague);
    write(clone, { 'old.txt': 'changed\n' });
    const before = git(clone, 'rev-parse', 'HEAD');
    const run = await lease(clone, { workspaceMode: 'shared' });
    assert.equal(run.sync.state, 'failed');
    assert.equal(git(clone, 'rev-parse', 'HEAD'), before);
    await run.release();
  });
});

for (const [what, prepare] of [
  ['a local merge', () => {}],
  ['two local merges', (clone: string) => commit(clone, { 'second.txt': 'second\n' }, 'second')],
] as const) {
  test(`a shared workspace keeps its own commits after ${what} of a commit that the upstream then drops`, async () => {
    const { clone, remote } = makeClone(sandbox);
    const workspaces = await open(clone, { workspaceMode: 'shared' });
    const colleague = join(sandbox.folder, 'colleague');
    git(sandbox.folder, 'clone', '-q', remote, colleague);
    const first = commit(colleague, { 'kept.txt': 'kept\n' }, 'kept');
    git(colleague, 'push', '-q');
    commit(clone, { 'local.txt': 'local\n' }, 'local');
    git(clone, 'pull', '-q', '--no-rebase', '--no-edit');
    prepare(clone);
    commit(colleague, { 'dropped.txt': 'dropped\n' }, 'dropped');
    git(colleague, 'push', '-q');
    git(clone, 'pull', '-q', '--no-rebase', '--no-edit');
    git(colleague, 'reset', '-q', '--hard', first);
    const theirs = commit(colleague, { 'other.txt': 'other\n' }, 'other');
    git(colleague, 'push', '-q', '--force');
    const run = await workspaces.lease('run', never);
    assert.equal(run.sync.state, 'synced', run.sync.detail);
    const own = what === 'a local merge' ? ['local'] : ['local', 'second'];
    assert.deepEqual(git(clone, 'log', '--reverse', '--format=%s', `${theirs}..`).split('\n'), own);
    assert.equal(existsSync(join(clone, 'dropped.txt')), false);
    await run.release();
  });
}
