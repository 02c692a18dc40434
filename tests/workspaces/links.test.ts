/** Links that lead out of the workspace: in place of its folder, and in the `.git` of a shared one. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
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
    // Nothing is prepared, because that would sync while the folder is gone.
    const options = { workspaceMode: 'worktree', gitSync: 'off', preparedWorktrees: 0 } as const;
    const workspaces = await open(join(clone, 'part/pkg'), options);
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

describe('a way out of the .git of a repository that an agent has planted', () => {
  for (const [what, plant] of [
    [
      'borrows the objects of another repository',
      (git: string, other: string) => write(git, { 'objects/info/alternates': `${other}\n` }),
    ],
    ['is a pipe in place of the index', (git: string) => replaceByPipe(join(git, 'index'))],
    ['is a pipe in place of a ref', (git: string) => replaceByPipe(join(git, 'refs/heads/main'))],
  ] as const) {
    test(`is refused in shared mode: it ${what}`, async () => {
      const { clone } = makeClone(sandbox);
      const other = join(sandbox.folder, 'other');
      git(sandbox.folder, 'init', '--quiet', other);
      const workspaces = await open(clone, { workspaceMode: 'shared' });
      const run = await workspaces.lease('one', never);
      plant(join(clone, '.git'), join(other, '.git/objects'));
      await run.release();
      await assert.rejects(workspaces.lease('two', never), { code: 'workspace_unavailable', message: /its \.git/ });
    });
  }

  test('lends no folder to the sandbox of a worktree, except folders of objects', async () => {
    const { clone, remote } = makeClone(sandbox);
    const secret = join(sandbox.folder, 'home/.ssh');
    write(secret, { id_ed25519: 'sesame\n' });
    symlinkSync(secret, join(clone, '.git/objects-of-a-friend'));
    const lines = [secret, '../objects-of-a-friend', join(remote, 'objects')];
    write(join(clone, '.git'), { 'objects/info/alternates': `${lines.join('\n')}\n` });
    const run = await (await open(clone)).lease('run', never);
    assert.ok(run.reads.includes(join(remote, 'objects')));
    assert.deepEqual(
      run.reads.filter((path) => path.includes('.ssh') || path.includes('friend')),
      [],
    );
  });

  test('shows no file of the machine to a worktree, and does not stop the server', async () => {
    const { clone } = makeClone(sandbox);
    const secret = join(sandbox.folder, 'secret');
    writeFileSync(secret, 'sesame\n');
    const info = join(clone, '.git/info');
    for (const name of ['exclude', 'sparse-checkout']) {
      rmSync(join(info, name), { force: true });
      symlinkSync(secret, join(info, name));
    }
    const linked = await (await open(clone)).lease('linked', never);
    for (const name of ['exclude', 'sparse-checkout']) {
      assert.equal(existsSync(join(linked.path, '.git/info', name)), false, name);
    }
    for (const name of ['info/exclude', 'info/sparse-checkout']) {
      replaceByPipe(join(clone, '.git', name));
    }
    const piped = await (await open(clone)).lease('piped', never);
    assert.equal(read(piped, 'a.txt'), 'one\n');
  });
});

describe('a link that an agent has put in place of its folder', () => {
  for (const workspaceDir of ['clone', 'clone/part']) {
    test(`is not followed when the work of the run is collected, delivered and kept: ${workspaceDir}`, async () => {
      makeClone(sandbox, { 'a.txt': 'one\n', 'part/b.txt': 'two\n' });
      const victim = join(sandbox.folder, 'victim');
      write(victim, { 'key.txt': 'sesame\n', 'part/key.txt': 'sesame\n' });
      const workspaces = await open(join(sandbox.folder, workspaceDir));
      const run = await workspaces.lease('run', never);
      const top = run.root ?? run.path;
      for (const path of [run.path, top]) {
        rmSync(path, { recursive: true, force: true });
        symlinkSync(victim, path);
        const { patch = '', files } = await run.collect();
        assert.doesNotMatch(patch + JSON.stringify(files), /sesame|key\.txt/);
        await run.deliver({ branch: 'agent/run', message: 'x' });
      }
      await run.release();
      await workspaces.close();
      assert.deepEqual(readdirSync(victim).sort(), ['key.txt', 'part']);
      assert.deepEqual(worktreesLeft(), []);
    });
  }
});

function replaceByPipe(path: string): void {
  rmSync(path, { force: true });
  execFileSync('mkfifo', [path]);
}
