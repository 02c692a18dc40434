/** Branches that were deleted at the remote, and branches whose names git cannot keep beside theirs. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { commit, git, makeClone } from '../support/git-repositories.ts';
import { never, open, read, sandbox } from './setup.ts';

/** Makes a branch at the remote, and switches to it. */
function startBranch(clone: string, branch: string): void {
  git(clone, 'checkout', '-q', '-b', branch, 'main');
  git(clone, 'push', '-q', '-u', 'origin', branch);
}

/** Deletes a branch at the remote and in the clone. */
function deleteBranch(clone: string, branch: string): void {
  git(clone, 'checkout', '-q', 'main');
  git(clone, 'branch', '-q', '-D', branch);
  git(clone, 'push', '-q', 'origin', '--delete', branch);
}

/** A colleague replaces a branch of the remote by another one, without the clone. Returns the new commit. */
function replaceBranch(remote: string, before: string, after: string): string {
  const colleague = join(sandbox.folder, 'colleague');
  git(sandbox.folder, 'clone', '-q', remote, colleague);
  git(colleague, 'push', '-q', 'origin', '--delete', before);
  git(colleague, 'checkout', '-q', '-b', after, 'origin/main');
  const revision = commit(colleague, { 'new.txt': 'new\n' });
  git(colleague, 'push', '-q', 'origin', after);
  return revision;
}

/** Makes the current branch of the clone follow a branch that the clone has not fetched. */
function follow(clone: string, branch: string): void {
  git(clone, 'config', 'branch.main.merge', `refs/heads/${branch}`);
}

for (const workspaceMode of ['worktree', 'shared'] as const) {
  describe(`a sync of a ${workspaceMode === 'shared' ? 'shared workspace' : 'worktree'}`, () => {
    for (const [before, after] of [
      ['feature', 'feature/a'],
      ['feature/a', 'feature'],
      ['feature/a/b', 'feature'],
    ] as const) {
      test(`follows ${after}, which replaces ${before}`, async () => {
        const { clone, remote } = makeClone(sandbox);
        startBranch(clone, before);
        const workspaces = await open(clone, { workspaceMode });
        await (await workspaces.lease('before', never)).release();
        git(clone, 'checkout', '-q', 'main');
        const revision = replaceBranch(remote, before, after);
        follow(clone, after);
        const run = await workspaces.lease('run', never);
        assert.deepEqual(run.sync, { state: 'synced', revision });
        assert.equal(read(run, 'new.txt'), 'new\n');
        const refs = git(run.path, 'for-each-ref', '--format=%(refname)', 'refs/remotes').split('\n');
        assert.deepEqual(
          refs.filter((ref) => ref.includes('feature')),
          [`refs/remotes/origin/${after}`],
        );
        git(run.path, 'fetch', '-q', 'origin');
        await run.release();
      });
    }
  });
}

test('an agent in a worktree sees no branch that the remote and the workspace no longer have', async () => {
  const { clone } = makeClone(sandbox);
  startBranch(clone, 'feature');
  const workspaces = await open(clone);
  await (await workspaces.lease('before', never)).release();
  deleteBranch(clone, 'feature');
  const run = await workspaces.lease('run', never);
  assert.equal(git(run.path, 'for-each-ref', '--format=%(refname)', 'refs/remotes'), 'refs/remotes/origin/main');
});
