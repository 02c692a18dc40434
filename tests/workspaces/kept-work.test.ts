/** Unsaved work in worktrees is kept as a patch. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { git, makeClone, write } from '../support/git-repositories.ts';
import { waitUntil } from '../support/wait-until.ts';
import { keptPatch, never, open, sandbox, worktreesLeft } from './setup.ts';

describe('work that was neither collected nor delivered', () => {
  test('is kept as a patch when the worktree is removed', async () => {
    const { clone } = makeClone(sandbox);
    const kept: string[] = [];
    const workspaces = await open(clone, { onKept: (runId) => kept.push(runId) });
    const idle = await workspaces.lease('idle', never);
    const busy = await workspaces.lease('busy', never);
    const collected = await workspaces.lease('collected', never);
    write(busy.path, { 'a.txt': 'changed\n', 'blob.bin': 'a\0b' });
    write(collected.path, { 'a.txt': 'changed\n' });
    await collected.collect();
    for (const lease of [idle, busy, collected]) await lease.release();
    await waitUntil('the worktrees are gone', () => worktreesLeft().length === 0);
    assert.deepEqual(kept, ['busy']);
    const patch = keptPatch('busy');
    assert.ok(patch);
    assert.equal(keptPatch('idle'), undefined);
    git(clone, 'apply', patch);
    assert.equal(readFileSync(join(clone, 'a.txt'), 'utf8'), 'changed\n');
    assert.equal(readFileSync(join(clone, 'blob.bin'), 'latin1'), 'a\0b');
    await workspaces.forgetPatch('busy');
    assert.equal(keptPatch('busy'), undefined);
  });

  test('is kept when the server dies, and the next server removes the worktrees', async () => {
    const { clone } = makeClone(sandbox);
    const dead = await open(clone);
    const worked = await dead.lease('worked', never);
    await dead.lease('idle', never);
    write(worked.path, { 'a.txt': 'changed\n', 'new.txt': 'new\n' });
    await open(clone);
    await waitUntil('the patch is kept', () => keptPatch('worked'));
    await waitUntil('the leftovers are gone', () => worktreesLeft().length === 0);
    assert.equal(keptPatch('idle'), undefined);
    git(clone, 'apply', keptPatch('worked') ?? '');
    assert.equal(readFileSync(join(clone, 'new.txt'), 'utf8'), 'new\n');
  });

  test('stays in its worktree when no patch can be made, and the next server tries again', async () => {
    const { clone } = makeClone(sandbox);
    const problems: string[] = [];
    const dead = await open(clone, { onProblem: (what) => problems.push(what) });
    const lease = await dead.lease('worked', never);
    write(lease.path, { 'a.txt': 'changed\n' });
    const record = join(sandbox.dataDir, 'worktrees/worked/.baseline/objects/info/alternates');
    const alternates = readFileSync(record, 'utf8');
    writeFileSync(record, '/nonexistent\n');
    await lease.release();
    await waitUntil('the problem is reported', () => problems.length > 0);
    const [left = ''] = worktreesLeft();
    writeFileSync(join(sandbox.dataDir, 'worktrees', left, '.baseline/objects/info/alternates'), alternates);
    await open(clone);
    await waitUntil('the patch is kept', () => keptPatch('worked'));
  });

  test('is none when an agent has replaced its folder with a link', async () => {
    const { clone } = makeClone(sandbox);
    const secret = join(sandbox.folder, 'secret');
    mkdirSync(secret);
    writeFileSync(join(secret, 'key'), 'sesame');
    const workspaces = await open(clone);
    const lease = await workspaces.lease('run', never);
    rmSync(lease.path, { recursive: true });
    symlinkSync(secret, lease.path);
    const changes = await lease.collect();
    assert.deepEqual(changes.files, []);
    assert.match(changes.patchOmitted ?? '', /folder of the run is gone/);
    assert.equal((await lease.deliver({ branch: 'agent/run', message: 'x' })).state, 'failed');
    await lease.release();
    await waitUntil('the worktree is gone', () => worktreesLeft().length === 0);
    assert.equal(keptPatch('run'), undefined);
    assert.equal(readFileSync(join(secret, 'key'), 'utf8'), 'sesame');
  });

  test('is removed after the configured time', async () => {
    const { clone } = makeClone(sandbox);
    const first = await open(clone);
    const lease = await first.lease('old', never);
    write(lease.path, { 'a.txt': 'changed\n' });
    await lease.release();
    await waitUntil('the patch is kept', () => keptPatch('old'));
    await open(clone, { keepPatchesMs: -1000 });
    await waitUntil('the patch is gone', () => !keptPatch('old'));
  });
});
