/** A worktree for each run: its content, and that runs do not see each other. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { ServiceError } from '../../src/errors.ts';
import { commit, git, makeClone, pushFromElsewhere, write } from '../support/git-repositories.ts';
import { waitUntil } from '../support/wait-until.ts';
import { never, open, read, sandbox, worktreesLeft } from './setup.ts';

describe('a worktree', () => {
  test('is the default in a git repository, is in the data folder, and has the name of the project', async () => {
    const { clone } = makeClone(sandbox);
    const lease = await (await open(clone)).lease('run', never);
    assert.equal(lease.path, join(sandbox.dataDir, 'worktrees/run/clone'));
    assert.equal(basename(lease.path), 'clone');
    assert.equal(statSync(lease.path).mode & 0o077, 0);
    assert.equal(read(lease, 'a.txt'), 'one\n');
    await lease.release();
  });

  test('is at the latest commit of the upstream, and the workspace is not changed, dirty or not', async () => {
    const { clone, remote } = makeClone(sandbox);
    write(clone, { 'a.txt': 'uncommitted\n', 'untracked.txt': 'x\n' });
    git(clone, 'add', 'a.txt');
    const before = [
      git(clone, 'status', '--porcelain=v2'),
      git(clone, 'for-each-ref'),
      readdirSync(join(clone, '.git')),
    ];
    const pushed = pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    const lease = await (await open(clone)).lease('run', never);
    assert.equal(lease.sync.revision, pushed);
    assert.equal(lease.sync.revision, pushed);
    assert.equal(read(lease, 'a.txt'), 'one\n');
    assert.equal(read(lease, 'b.txt'), 'two\n');
    assert.equal(existsSync(join(lease.path, 'untracked.txt')), false);
    const now = [git(clone, 'status', '--porcelain=v2'), git(clone, 'for-each-ref'), readdirSync(join(clone, '.git'))];
    assert.deepEqual(now, before);
    await lease.release();
  });

  test('looks like a fresh clone to git', async () => {
    const { clone } = makeClone(sandbox);
    git(clone, 'tag', 'v1');
    git(clone, 'remote', 'set-head', 'origin', 'main');
    git(clone, 'push', '-q', 'origin', 'main:other');
    git(clone, 'fetch', '-q');
    const { path, sync } = await (await open(clone)).lease('run', never);
    assert.equal(git(path, 'status', '--porcelain', '--branch'), '## main...origin/main');
    assert.equal(git(path, 'rev-parse', 'HEAD'), sync.revision);
    assert.equal(
      git(path, 'rev-parse', 'origin/main', 'v1^{commit}', 'origin/other'),
      [sync.revision, sync.revision, sync.revision].join('\n'),
    );
    assert.equal(git(path, 'symbolic-ref', 'refs/remotes/origin/HEAD'), 'refs/remotes/origin/main');
    assert.equal(git(path, 'log', '--format=%s'), 'first');
    git(path, 'fsck');
    commit(path, { 'b.txt': 'mine\n' }, 'by the agent');
    assert.equal(git(path, 'log', '-1', '--format=%s'), 'by the agent');
    assert.equal(git(path, 'pull', '--quiet'), '');
    assert.equal(git(clone, 'log', '-1', '--format=%s', '--all'), 'first');
  });

  test('shows an agent no password of the remote', async () => {
    const { clone } = makeClone(sandbox);
    git(clone, 'remote', 'set-url', 'origin', 'https://user:sesame@example.invalid/x.git');
    git(clone, 'config', 'http.https://example.invalid/.extraHeader', 'Authorization: sesame');
    const { path } = await (await open(clone, { gitSync: 'off' })).lease('run', never);
    assert.equal(git(path, 'remote', 'get-url', 'origin'), 'https://example.invalid/x.git');
    assert.doesNotMatch(readFileSync(join(path, '.git/config'), 'utf8'), /sesame/);
  });

  test('has the same folder as its working directory when the workspace is a folder in a repository', async () => {
    const { clone } = makeClone(sandbox, { 'a.txt': 'one\n', 'packages/x/b.txt': 'two\n' });
    const lease = await (await open(join(clone, 'packages/x'))).lease('run', never);
    assert.equal(lease.path, join(sandbox.dataDir, 'worktrees/run/x/packages/x'));
    write(lease.path, { 'b.txt': 'changed\n' });
    assert.deepEqual((await lease.collect()).files, [
      { path: 'packages/x/b.txt', change: 'modified', added: 1, removed: 1 },
    ]);
    const plain = join(clone, 'plain');
    mkdirSync(plain);
    const inPlace = await (await open(plain)).lease('run', never);
    assert.equal(inPlace.path, plain);
    await inPlace.release();
  });

  test('is refused at the start when there is no repository', async () => {
    const folder = join(sandbox.folder, 'plain');
    mkdirSync(folder);
    await assert.rejects(open(folder, { workspaceMode: 'worktree' }), /WORKSPACE_DIR is not a git repository/);
  });

  test('is removed after the run, with the records about it', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone);
    const lease = await workspaces.lease('run', never);
    mkdirSync(join(lease.path, 'build'));
    writeFileSync(join(lease.path, 'build/out'), 'x', { mode: 0o400 });
    await lease.release();
    await lease.release();
    assert.equal(existsSync(lease.path), false);
    await waitUntil('the folder is removed', () => worktreesLeft().length === 0);
    // The name is free at once.
    const again = await workspaces.lease('run', never);
    await assert.rejects(workspaces.lease('run', never), (error) => error instanceof ServiceError);
    assert.equal(read(again, 'a.txt'), 'one\n');
    await again.release();
  });
});

describe('runs side by side', () => {
  test('do not see each other’s files, branches, stashes and settings', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone);
    const [one, two] = await Promise.all([workspaces.lease('one', never), workspaces.lease('two', never)]);
    write(one.path, { 'a.txt': 'stashed\n' });
    git(one.path, 'stash');
    git(one.path, 'branch', 'mine');
    git(one.path, 'config', 'core.hooksPath', 'hooks');
    commit(one.path, { 'b.txt': 'b\n' });
    for (const other of [two.path, clone]) {
      assert.equal(git(other, 'status', '--porcelain'), '');
      assert.equal(git(other, 'stash', 'list'), '');
      assert.equal(git(other, 'branch', '--list', 'mine'), '');
      assert.throws(() => git(other, 'config', 'core.hooksPath'));
      assert.equal(git(other, 'log', '--all', '--format=%s'), 'first');
    }
    await Promise.all([one.release(), two.release()]);
  });

  test('edit the same file at the same time, and each has a diff of its own', async () => {
    const { clone } = makeClone(sandbox, { 'a.txt': 'one\ntwo\nthree\n' });
    const workspaces = await open(clone);
    const names = ['x', 'y', 'z'];
    const results = await Promise.all(
      names.map(async (name) => {
        const lease = await workspaces.lease(name, never);
        write(lease.path, { 'a.txt': `one\n${name}\nthree\n`, [`${name}.txt`]: `${name}\n` });
        const changes = await lease.collect();
        const delivery = await lease.deliver({ branch: `agent/${name}`, message: `by ${name}` });
        await lease.release();
        return { name, changes, delivery };
      }),
    );
    for (const { name, changes, delivery } of results) {
      assert.deepEqual(
        changes.files.map(({ path, change }) => [path, change]),
        [
          ['a.txt', 'modified'],
          [`${name}.txt`, 'added'],
        ],
      );
      assert.match(changes.patch ?? '', new RegExp(`^-two$\\n^\\+${name}$`, 'm'));
      const others = names.filter((other) => other !== name);
      for (const other of others) assert.doesNotMatch(changes.patch ?? '', new RegExp(`^\\+${other}$`, 'm'));
      assert.equal(delivery.state, 'pushed');
      assert.equal(git(clone, 'ls-remote', 'origin', `refs/heads/agent/${name}`).split('\t')[0], delivery.commit);
    }
  });
});
