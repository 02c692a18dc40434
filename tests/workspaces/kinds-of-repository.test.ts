/** Unusual repositories: runs work in them, or the reason why not is given. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ServiceError } from '../../src/errors.ts';
import type { WorkspaceLease } from '../../src/workspaces/workspaces.ts';
import { addSubmodule, commit, git, makeClone, pushFromElsewhere, write } from '../support/git-repositories.ts';
import { never, open, sandbox } from './setup.ts';

const filesOf = (lease: WorkspaceLease) =>
  readdirSync(lease.path)
    .filter((name) => name !== '.git')
    .sort();
const changedPaths = async (lease: WorkspaceLease) => (await lease.collect()).files.map(({ path }) => path);

describe('a worktree of', () => {
  test('a shallow clone has its files and its short history, and can be delivered', async () => {
    const { remote, clone } = makeClone(sandbox);
    commit(clone, { 'b.txt': 'two\n' });
    git(clone, 'push', '-q');
    const shallow = join(sandbox.folder, 'shallow');
    git(sandbox.folder, 'clone', '-q', '--depth=1', `file://${remote}`, shallow);
    const pushed = pushFromElsewhere(sandbox, remote, { 'c.txt': 'three\n' });
    const run = await (await open(shallow)).lease('run', never);
    assert.equal(run.sync.revision, pushed);
    assert.deepEqual(filesOf(run), ['a.txt', 'b.txt', 'c.txt']);
    assert.equal(git(run.path, 'rev-list', '--count', 'HEAD'), '2');
    assert.equal(git(run.path, 'status', '--porcelain'), '');
    write(run.path, { 'd.txt': 'four\n' });
    assert.equal((await run.deliver({ branch: 'agent/run', message: 'x' })).state, 'pushed');
    assert.equal(git(remote, 'rev-list', '--count', 'agent/run'), '4');
  });

  test('a sparse checkout has the same part of the files', async () => {
    const { clone } = makeClone(sandbox, { 'top.txt': 't\n', 'in/a.txt': 'a\n', 'out/b.txt': 'b\n' });
    git(clone, 'sparse-checkout', 'set', '--cone', 'in');
    const run = await (await open(clone)).lease('run', never);
    assert.deepEqual(filesOf(run), ['in', 'top.txt']);
    assert.equal(git(run.path, 'status', '--porcelain'), '');
    write(run.path, { 'in/a.txt': 'changed\n', 'elsewhere/new.txt': 'x\n' });
    assert.deepEqual(await changedPaths(run), ['elsewhere/new.txt', 'in/a.txt']);
  });

  test('a partial clone fetches what is missing', async () => {
    const { remote, clone } = makeClone(sandbox, { 'a.txt': 'one\n' });
    commit(clone, { 'a.txt': 'two\n', 'b.txt': 'b\n' });
    git(clone, 'push', '-q');
    git(remote, 'config', 'uploadpack.allowFilter', 'true');
    git(remote, 'config', 'uploadpack.allowAnySHA1InWant', 'true');
    const partial = join(sandbox.folder, 'partial');
    git(sandbox.folder, 'clone', '-q', '--filter=blob:none', '--no-checkout', `file://${remote}`, partial);
    const run = await (await open(partial)).lease('run', never);
    assert.deepEqual(filesOf(run), ['a.txt', 'b.txt']);
    write(run.path, { 'a.txt': 'three\n' });
    assert.match((await run.collect()).patch ?? '', /^-two$\n^\+three$/m);
  });

  test('a repository with submodules has empty folders for them, and a note says so', async () => {
    const { clone } = makeClone(sandbox);
    addSubmodule(sandbox, clone);
    git(clone, 'push', '-q');
    const run = await (await open(clone)).lease('run', never);
    assert.deepEqual(run.sync.notes, ['The folders of submodules are empty.']);
    assert.deepEqual(readdirSync(join(run.path, 'lib')), []);
    assert.equal(git(run.path, 'status', '--porcelain'), '');
    git(run.path, 'submodule', '--quiet', 'update', '--init');
    assert.equal(readFileSync(join(run.path, 'lib/lib.txt'), 'utf8'), 'lib\n');
    assert.deepEqual(await changedPaths(run), []);
    write(run.path, { 'a.txt': 'changed\n' });
    assert.deepEqual(await changedPaths(run), ['a.txt']);
  });

  test('a repository with Git LFS has pointer files, and a note says so', async () => {
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 12345\n`;
    const { clone } = makeClone(sandbox, { '.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n' });
    commit(clone, { 'big.bin': pointer });
    git(clone, 'push', '-q');
    const run = await (await open(clone)).lease('run', never);
    assert.deepEqual(run.sync.notes, ['Files in Git LFS are pointers, without their content.']);
    assert.equal(readFileSync(join(run.path, 'big.bin'), 'utf8'), pointer);
    assert.deepEqual(await changedPaths(run), []);
  });

  test('a detached HEAD is at the same commit, detached', async () => {
    const { clone } = makeClone(sandbox);
    const first = git(clone, 'rev-parse', 'HEAD');
    commit(clone, { 'b.txt': 'two\n' });
    git(clone, 'push', '-q');
    git(clone, 'checkout', '-q', first);
    const run = await (await open(clone)).lease('run', never);
    assert.equal(run.sync.revision, first);
    assert.deepEqual(run.sync, { state: 'off', detail: 'the workspace is at a detached HEAD', revision: first });
    assert.equal(git(run.path, 'rev-parse', '--abbrev-ref', 'HEAD'), 'HEAD');
    write(run.path, { 'c.txt': 'x\n' });
    assert.equal((await run.deliver({ branch: 'agent/run', message: 'x' })).state, 'pushed');
    const strict = await open(clone, { gitSync: 'required', dataDir: join(sandbox.folder, 'strict') });
    await assert.rejects(strict.lease('run', never), /GIT_SYNC is required: the workspace is at a detached HEAD/);
  });

  test('a repository without a remote is at its HEAD', async () => {
    const folder = join(sandbox.folder, 'local');
    git(sandbox.folder, 'init', '-q', '-b', 'main', folder);
    const revision = commit(folder, { 'a.txt': 'one\n' });
    const run = await (await open(folder)).lease('run', never);
    assert.deepEqual(run.sync, { state: 'off', detail: 'the repository has no remote', revision });
    assert.deepEqual(filesOf(run), ['a.txt']);
  });

  test('a repository without commits is empty, and new files in it are listed', async () => {
    const folder = join(sandbox.folder, 'empty');
    git(sandbox.folder, 'init', '-q', '-b', 'main', folder);
    const workspaces = await open(folder);
    const run = await workspaces.lease('run', never);
    assert.equal(run.sync.revision, undefined);
    assert.deepEqual(filesOf(run), []);
    assert.equal(git(run.path, 'symbolic-ref', 'HEAD'), 'refs/heads/main');
    write(run.path, { 'a.txt': 'one\n' });
    assert.deepEqual(await run.collect(), {
      files: [{ path: 'a.txt', change: 'added', added: 1, removed: 0 }],
      patch: (await run.collect()).patch,
    });
    const revision = commit(folder, { 'b.txt': 'two\n' });
    const next = await workspaces.lease('next', never);
    assert.equal(next.sync.revision, revision);
    assert.deepEqual(filesOf(next), ['b.txt']);
  });

  test('an empty clone can be delivered as the first commit of a branch', async () => {
    const remote = join(sandbox.folder, 'young.git');
    git(sandbox.folder, 'init', '-q', '--bare', '-b', 'main', remote);
    const clone = join(sandbox.folder, 'young');
    git(sandbox.folder, 'clone', '-q', remote, clone);
    const run = await (await open(clone)).lease('run', never);
    write(run.path, { 'a.txt': 'one\n' });
    const delivery = await run.deliver({ branch: 'agent/run', message: 'x' });
    assert.equal(delivery.state, 'pushed', delivery.detail);
    assert.equal(git(remote, 'show', 'agent/run:a.txt'), 'one');
  });

  test('a bare repository has its files', async () => {
    const { remote, clone } = makeClone(sandbox);
    const run = await (await open(remote)).lease('run', never);
    assert.equal(run.path, join(sandbox.dataDir, 'worktrees/run/remote'));
    assert.equal(run.sync.revision, git(clone, 'rev-parse', 'HEAD'));
    assert.deepEqual(filesOf(run), ['a.txt']);
    const inPlace = await open(remote, { workspaceMode: 'shared' });
    await assert.rejects(inPlace.lease('run', never), (error) => {
      return error instanceof ServiceError && /bare repository/.test(error.message);
    });
  });

  test('a linked worktree is on the branch of that worktree', async () => {
    const { clone } = makeClone(sandbox);
    const linked = join(sandbox.folder, 'linked');
    git(clone, 'worktree', 'add', '-q', '-b', 'side', linked);
    const revision = commit(linked, { 'b.txt': 'side\n' });
    const run = await (await open(linked)).lease('run', never);
    assert.equal(run.sync.revision, revision);
    assert.equal(git(run.path, 'symbolic-ref', '--short', 'HEAD'), 'side');
  });

  test('a repository that borrows objects from another one has its files', async () => {
    const { remote } = makeClone(sandbox);
    const borrower = join(sandbox.folder, 'borrower');
    git(sandbox.folder, 'clone', '-q', '--shared', remote, borrower);
    const run = await (await open(borrower)).lease('run', never);
    assert.deepEqual(filesOf(run), ['a.txt']);
    assert.ok(run.reads.includes(join(remote, 'objects')));
    assert.equal(git(run.path, 'log', '--format=%s'), 'first');
  });

  test('a repository with SHA-256 works the same', async () => {
    const remote = join(sandbox.folder, 'sha256.git');
    git(sandbox.folder, 'init', '-q', '--bare', '-b', 'main', '--object-format=sha256', remote);
    const clone = join(sandbox.folder, 'sha256');
    git(sandbox.folder, 'init', '-q', '-b', 'main', '--object-format=sha256', clone);
    git(clone, 'remote', 'add', 'origin', remote);
    commit(clone, { 'a.txt': 'one\n' });
    git(clone, 'push', '-q', '-u', 'origin', 'main');
    const run = await (await open(clone)).lease('run', never);
    assert.equal(run.sync.state, 'unchanged', run.sync.detail);
    assert.equal(run.sync.revision?.length, 64);
    write(run.path, { 'a.txt': 'two\n' });
    assert.equal((await run.deliver({ branch: 'agent/run', message: 'x' })).state, 'pushed');
  });

  test('a repository that was cloned anew in the same folder has the new files', async () => {
    const { remote, clone } = makeClone(sandbox);
    const workspaces = await open(clone);
    await (await workspaces.lease('before', never)).release();
    rmSync(clone, { recursive: true });
    rmSync(remote, { recursive: true });
    const again = makeClone(sandbox, { 'other.txt': 'other\n' });
    const run = await workspaces.lease('after', never);
    assert.equal(run.sync.revision, git(again.clone, 'rev-parse', 'HEAD'), run.sync.detail);
    assert.deepEqual(filesOf(run), ['other.txt']);
  });

  test('a repository that was removed cannot be made, and the reason is given', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone);
    await (await workspaces.lease('before', never)).release();
    rmSync(clone, { recursive: true });
    await assert.rejects(workspaces.lease('after', never), /no longer a git repository/);
  });

  test('a repository with broken settings cannot be made, and the reason is given', async () => {
    const { clone } = makeClone(sandbox);
    writeFileSync(join(clone, '.git/config'), '[broken\n');
    const workspaces = await open(clone);
    await assert.rejects(workspaces.lease('run', never), (error) => {
      assert.ok(error instanceof ServiceError);
      assert.match(error.message, /bad config line 1 in file config/);
      return !error.message.includes(sandbox.folder);
    });
  });
});

describe('a shared workspace that is', () => {
  test('a sparse, shallow or linked checkout is synced like any other', async () => {
    const { remote, clone } = makeClone(sandbox, { 'in/a.txt': 'a\n', 'out/b.txt': 'b\n' });
    const shallow = join(sandbox.folder, 'shallow');
    git(sandbox.folder, 'clone', '-q', '--depth=1', `file://${remote}`, shallow);
    git(shallow, 'sparse-checkout', 'set', '--cone', 'in');
    const linked = join(sandbox.folder, 'linked');
    git(clone, 'worktree', 'add', '-q', '-b', 'side', linked);
    git(linked, 'branch', '-q', '--set-upstream-to=origin/main');
    const pushed = pushFromElsewhere(sandbox, remote, { 'in/c.txt': 'c\n', 'out/d.txt': 'd\n' });
    for (const folder of [shallow, linked]) {
      const workspaces = await open(folder, { workspaceMode: 'shared' });
      const run = await workspaces.lease('run', never);
      assert.deepEqual(run.sync, { state: 'synced', revision: pushed });
      assert.equal(existsSync(join(folder, 'in/c.txt')), true);
      assert.equal(existsSync(join(folder, 'out')), folder === linked);
      assert.equal(git(folder, 'status', '--porcelain'), '');
      write(folder, { 'in/a.txt': 'changed\n' });
      assert.deepEqual(await changedPaths(run), ['in/a.txt']);
      await run.release();
    }
  });

  test('a repository with broken settings is not synced, and the reason is given for that and for the changes', async () => {
    const { clone } = makeClone(sandbox);
    writeFileSync(join(clone, '.git/config'), '[broken\n');
    const run = await (await open(clone, { workspaceMode: 'shared' })).lease('run', never);
    const detail = 'bad config line 1 in file config';
    assert.deepEqual(run.sync, { state: 'failed', detail });
    assert.deepEqual(await run.collect(), { files: [], patchOmitted: detail });
    await run.release();
  });

  test('a repository with submodules keeps them as they are', async () => {
    const { remote, clone } = makeClone(sandbox);
    addSubmodule(sandbox, clone);
    git(clone, 'push', '-q');
    write(clone, { 'lib/lib.txt': 'changed\n' });
    const pushed = pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    const run = await (await open(clone, { workspaceMode: 'shared' })).lease('run', never);
    assert.deepEqual(run.sync, { state: 'synced', revision: pushed });
    assert.equal(readFileSync(join(clone, 'lib/lib.txt'), 'utf8'), 'changed\n');
    mkdirSync(join(clone, 'docs'));
    write(clone, { 'docs/x.txt': 'x\n' });
    assert.deepEqual(await changedPaths(run), ['docs/x.txt']);
    await run.release();
  });
});
