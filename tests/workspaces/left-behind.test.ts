/** Nothing is left behind of a run: after a checkout that fails, a client that leaves, a full disk, and a killed server. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { commit, git, makeClone, pushFromElsewhere, write } from '../support/git-repositories.ts';
import { runOnSmallDisk } from '../support/small-disk.ts';
import { waitUntil } from '../support/wait-until.ts';
import { keptPatch, never, open, sandbox, worktreeFolders, worktreesLeft } from './setup.ts';

const nothingLeft = () => waitUntil('nothing is left', () => worktreesLeft().length === 0);

describe('no worktree is left', () => {
  test('of a checkout that fails', async () => {
    const { clone } = makeClone(sandbox, { 'a.txt': 'one\n', 'b.txt': 'two\n' });
    const blob = git(clone, 'rev-parse', 'HEAD:b.txt');
    rmSync(join(clone, '.git/objects', blob.slice(0, 2), blob.slice(2)), { force: true });
    const workspaces = await open(clone, { gitSync: 'off' });
    for (const id of ['one', 'two']) {
      await assert.rejects(workspaces.lease(id, never), { code: 'workspace_unavailable' });
      await assert.rejects(workspaces.prepare(`prepared-${id}`), { code: 'workspace_unavailable' });
    }
    await workspaces.close();
    assert.deepEqual(worktreeFolders(), []);
  });

  test('of a run whose client leaves while its files are checked out', async () => {
    const files = Object.fromEntries(Array.from({ length: 2000 }, (_, at) => [`d${at % 50}/f${at}`, `${at}\n`]));
    const { clone } = makeClone(sandbox, files);
    const workspaces = await open(clone, { gitSync: 'off', preparedWorktrees: 0 });
    const leaving = new AbortController();
    const reason = new Error('gone');
    const leasing = workspaces.lease('run', leaving.signal);
    leasing.catch(() => {});
    await waitUntil('the checkout has begun', () => worktreeFolders().length > 0);
    leaving.abort(reason);
    await assert.rejects(leasing, (error) => error === reason);
    await nothingLeft();
  });

  test('when its folder cannot get the name of the run, because the name is taken', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone, { preparedWorktrees: 1 });
    const first = await workspaces.lease('run', never);
    await assert.rejects(workspaces.lease('run', never), { code: 'workspace_unavailable' });
    await first.release();
    await nothingLeft();
  });

  test('when its work could not be kept at first', async () => {
    const { clone } = makeClone(sandbox);
    const problems: string[] = [];
    const workspaces = await open(clone, { onProblem: (what) => problems.push(what) });
    const run = await workspaces.lease('run', never);
    write(run.path, { 'a.txt': 'changed\n' });
    // A file in place of the folder with the patches.
    const patches = join(sandbox.dataDir, 'patches');
    writeFileSync(patches, '');
    await run.release();
    await waitUntil('the problem is reported', () => problems.length > 0);
    assert.equal(worktreesLeft().length, 1);
    rmSync(patches);
    await waitUntil('the work is kept', () => keptPatch('run'));
    await nothingLeft();
    assert.deepEqual(readdirSync(patches), ['run.patch']);
  });

  test('when its repository is gone for good, after the time for which work is kept', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone, { keepPatchesMs: -1000 });
    const run = await workspaces.lease('run', never);
    write(run.path, { 'a.txt': 'changed\n' });
    rmSync(clone, { recursive: true });
    await run.release();
    await nothingLeft();
  });

  test('when the disk was full for a while, and the work is kept', (t) => {
    const printed = runOnSmallDisk(t, 'full-disk.ts', join(sandbox.folder, 'small'), 4);
    if (printed === undefined) return;
    assert.deepEqual(JSON.parse(printed), { problem: true, left: [], kept: ['run.patch'], applies: true });
  });
});

describe('the next server', () => {
  test('fetches although git was killed while it held locks', async () => {
    const { clone, remote } = makeClone(sandbox);
    const first = await open(clone);
    await (await first.lease('before', never)).release();
    await first.close();
    const [mirror = ''] = readdirSync(join(sandbox.dataDir, 'repositories'));
    const inMirror = (path: string) => join(sandbox.dataDir, 'repositories', mirror, path);
    mkdirSync(inMirror('objects/pack'), { recursive: true });
    const unfinished = ['refs/remotes/origin/main.lock', 'packed-refs.lock', 'shallow.lock', 'objects/pack/tmp_pack_x'];
    for (const path of unfinished) writeFileSync(inMirror(path), '');
    const pushed = pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    const run = await (await open(clone)).lease('run', never);
    assert.deepEqual([run.sync.state, run.sync.revision], ['synced', pushed]);
    for (const path of unfinished) assert.equal(existsSync(inMirror(path)), false, path);
  });

  test('does not remove the locks of the repository of the user', async () => {
    const { clone } = makeClone(sandbox);
    const first = await open(clone, { workspaceMode: 'shared' });
    await (await first.lease('before', never)).release();
    await first.close();
    const lock = join(clone, '.git/refs/heads/main.lock');
    writeFileSync(lock, '');
    await open(clone, { workspaceMode: 'shared' });
    assert.equal(existsSync(lock), true);
  });

  test('removes an unfinished patch, and what runs of other modes left', async () => {
    const patches = join(sandbox.dataDir, 'patches');
    mkdirSync(patches);
    writeFileSync(join(patches, 'x.patch.part'), '');
    mkdirSync(join(sandbox.dataDir, 'scratch/left/deep'), { recursive: true });
    await open(undefined);
    assert.deepEqual(readdirSync(join(sandbox.dataDir, 'scratch')), []);
    const workspaces = await open(makeClone(sandbox).clone);
    await waitUntil('the patch is gone', () => readdirSync(patches).length === 0);
    await workspaces.close();
  });
});

test('files that a patch cannot hold are kept beside it, and forgotten with it', async () => {
  const { clone } = makeClone(sandbox);
  const workspaces = await open(clone);
  const run = await workspaces.lease('run', never);
  write(run.path, { '.GIT/x': 'kept\n', 'b.txt': 'x\n' });
  assert.match((await run.collect()).patchOmitted ?? '', /\.GIT\/x/);
  await run.release();
  await waitUntil('the work is kept', () => keptPatch('run'));
  await nothingLeft();
  assert.equal(readFileSync(join(sandbox.dataDir, 'patches/run.files/.GIT/x'), 'utf8'), 'kept\n');
  await workspaces.forgetPatch('run');
  assert.deepEqual(readdirSync(join(sandbox.dataDir, 'patches')), []);
});

test('a scratch folder that an agent has replaced with a link is removed, and the target of the link stays', async () => {
  const target = join(sandbox.folder, 'target');
  write(target, { 'mine.txt': 'mine\n' });
  const workspaces = await open(undefined);
  const run = await workspaces.lease('run', never);
  rmSync(run.path, { recursive: true });
  symlinkSync(target, run.path);
  assert.match((await run.collect()).patchOmitted ?? '', /is gone/);
  await run.release();
  assert.deepEqual(readdirSync(join(sandbox.dataDir, 'scratch')), []);
  assert.equal(readFileSync(join(target, 'mine.txt'), 'utf8'), 'mine\n');
});

test('the shared workspace is free for the next run although the record of the last one cannot be removed', async () => {
  const { clone } = makeClone(sandbox);
  const workspaces = await open(clone, { workspaceMode: 'shared', gitSync: 'off' });
  const first = await workspaces.lease('first', never);
  commit(clone, { 'b.txt': 'x\n' });
  rmSync(join(sandbox.dataDir, 'baselines'), { recursive: true });
  writeFileSync(join(sandbox.dataDir, 'baselines'), 'a file in place of the folder');
  await first.release();
  rmSync(join(sandbox.dataDir, 'baselines'));
  await (await workspaces.lease('second', never)).release();
});
