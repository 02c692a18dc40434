/** Links that lead out of the workspace: in place of its folder, and in the `.git` of a shared one. */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { commit, git, makeClone, write } from '../support/git-repositories.ts';
import { waitUntil } from '../support/wait-until.ts';
import { never, open, read, sandbox, worktreesLeft } from './setup.ts';

const refused = {
  code: 'workspace_unavailable',
  message: /its folder in the repository is gone, or a link that leads out of it/,
};

/** A clone with files below `part/pkg`, and a folder elsewhere that agents must not reach. */
function makeGround() {
  const { clone, remote } = makeClone(sandbox, { 'part/pkg/a.txt': 'one\n', 'other/b.txt': 'two\n' });
  const elsewhere = join(sandbox.folder, 'elsewhere');
  mkdirSync(join(elsewhere, 'pkg'), { recursive: true });
  return { clone, remote, elsewhere };
}

/** Pushes a commit that replaces `path` with a link to `target`. The user's clone has not pulled it. */
function pushLink(remote: string, path: string, target: string): void {
  const theirs = join(sandbox.folder, `theirs-${path.replace('/', '-')}`);
  git(sandbox.folder, 'clone', '--quiet', remote, theirs);
  rmSync(join(theirs, path), { recursive: true });
  symlinkSync(target, join(theirs, path));
  commit(theirs, {});
  git(theirs, 'push', '--quiet');
}

describe('a workspace folder that a commit of the upstream has replaced with a link', () => {
  for (const workspaceMode of ['worktree', 'shared'] as const) {
    for (const [what, path, target] of [
      ['the folder itself, to an absolute path', 'part/pkg', (elsewhere: string) => elsewhere],
      ['the folder itself, to a relative path', 'part/pkg', () => '../../../elsewhere'],
      ['a folder above it', 'part', (elsewhere: string) => elsewhere],
      ['the folder itself, to a place that does not exist', 'part/pkg', (elsewhere: string) => join(elsewhere, 'new')],
      ['the folder itself, to the root of the machine', 'part/pkg', () => '/'],
    ] as const) {
      test(`is refused in ${workspaceMode} mode: ${what}`, async () => {
        const { clone, remote, elsewhere } = makeGround();
        const workspaces = await open(join(clone, 'part/pkg'), { workspaceMode });
        const before = await workspaces.lease('before', never);
        assert.equal(read(before, 'a.txt'), 'one\n');
        await before.release();
        pushLink(remote, path, target(elsewhere));
        await assert.rejects(workspaces.lease('after', never), (error: { code: string; message: string }) => {
          assert.equal(error.code, refused.code, String(error));
          return true;
        });
        await assert.rejects(
          workspaces.prepare('prepared').then((prepared) => prepared.lease('prepared', never)),
          { code: refused.code },
        );
        assert.deepEqual(readdirSync(elsewhere), ['pkg']);
        assert.deepEqual(readdirSync(join(elsewhere, 'pkg')), []);
        if (workspaceMode === 'worktree') await waitUntil('no worktree is left', () => worktreesLeft().length === 0);
      });
    }
  }

  test('is refused with its reason', async () => {
    const { clone, remote, elsewhere } = makeGround();
    const workspaces = await open(join(clone, 'part/pkg'), { workspaceMode: 'worktree' });
    pushLink(remote, 'part', elsewhere);
    await assert.rejects(workspaces.lease('run', never), refused);
    assert.equal(existsSync(join(elsewhere, 'pkg', 'a.txt')), false);
  });

  test('is accepted when the link stays within the repository', async () => {
    const { clone, remote } = makeGround();
    const workspaces = await open(join(clone, 'part/pkg'), { workspaceMode: 'worktree' });
    pushLink(remote, 'part/pkg', '../other');
    const run = await workspaces.lease('run', never);
    assert.equal(read(run, 'b.txt'), 'two\n');
    await run.release();
  });

  test('is made when a commit of the upstream has removed it', async () => {
    const { clone } = makeGround();
    const workspaces = await open(join(clone, 'part/pkg'), { workspaceMode: 'worktree', gitSync: 'off' });
    git(clone, 'rm', '-r', '--quiet', 'part');
    mkdirSync(join(clone, 'part/pkg'), { recursive: true });
    commit(clone, { 'other/b.txt': 'three\n' });
    const run = await workspaces.lease('run', never);
    write(run.path, { 'new.txt': 'new\n' });
    assert.deepEqual(
      (await run.collect()).files.map(({ path }) => path),
      ['part/pkg/new.txt'],
    );
    await run.release();
  });
});

describe("a shared workspace's own .git that an agent has changed", () => {
  for (const [what, change] of [
    [
      'a log that is a link',
      (clone: string, victim: string) => {
        rmSync(join(clone, '.git/logs/HEAD'));
        symlinkSync(join(victim, 'bashrc'), join(clone, '.git/logs/HEAD'));
      },
    ],
    [
      'a folder of refs that is a link',
      (clone: string, victim: string) => {
        rmSync(join(clone, '.git/refs/remotes'), { recursive: true });
        symlinkSync(victim, join(clone, '.git/refs/remotes'));
      },
    ],
    [
      'a file that leads to another repository',
      (clone: string, victim: string) => {
        rmSync(join(clone, '.git'), { recursive: true });
        writeFileSync(join(clone, '.git'), `gitdir: ${join(victim, 'other/.git')}\n`);
      },
    ],
  ] as const) {
    test(`is refused, and the server's git writes nothing outside: ${what}`, async () => {
      const { clone, remote } = makeClone(sandbox);
      const victim = join(sandbox.folder, 'victim');
      git(sandbox.folder, 'clone', '--quiet', remote, join(victim, 'other'));
      write(victim, { bashrc: 'mine\n' });
      const before = git(join(victim, 'other'), 'rev-parse', 'HEAD');
      const workspaces = await open(clone, { workspaceMode: 'shared' });
      const run = await workspaces.lease('one', never);
      change(clone, victim);
      await run.release();
      const theirs = join(sandbox.folder, 'theirs');
      git(sandbox.folder, 'clone', '--quiet', remote, theirs);
      commit(theirs, { 'new.txt': 'new\n' });
      git(theirs, 'push', '--quiet');
      await assert.rejects(workspaces.lease('two', never), { code: 'workspace_unavailable', message: /its \.git/ });
      assert.equal(readFileSync(join(victim, 'bashrc'), 'utf8'), 'mine\n');
      assert.deepEqual(readdirSync(victim).sort(), ['bashrc', 'other']);
      assert.equal(git(join(victim, 'other'), 'rev-parse', 'HEAD'), before);
    });
  }

  test('may hold links that were there at the start of the server', async () => {
    const { clone } = makeClone(sandbox);
    renameSync(join(clone, '.git/logs'), join(sandbox.folder, 'logs'));
    symlinkSync(join(sandbox.folder, 'logs'), join(clone, '.git/logs'));
    const workspaces = await open(clone, { workspaceMode: 'shared' });
    await (await workspaces.lease('one', never)).release();
  });
});
