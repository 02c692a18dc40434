/** Work in worktrees that nobody collected. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { git, makeClone, write } from '../support/git-repositories.ts';
import { waitUntil } from '../support/wait-until.ts';
import { open, sandbox, worktreesLeft } from './bed.ts';
import { never } from './support.ts';

describe('work that nobody collected', () => {
  test('is kept as a patch when the worktree goes', async () => {
    const { clone } = makeClone(sandbox);
    const kept: string[] = [];
    const workspaces = await open(clone, { onKept: (runId) => kept.push(runId) });
    const idle = await workspaces.lease('idle', never);
    const busy = await workspaces.lease('busy', never);
    const told = await workspaces.lease('told', never);
    write(busy.path, { 'a.txt': 'changed\n', 'blob.bin': 'a\0b' });
    write(told.path, { 'a.txt': 'changed\n' });
    await told.collect();
    for (const lease of [idle, busy, told]) await lease.release();
    await waitUntil('the worktrees are gone', () => worktreesLeft().length === 0);
    assert.deepEqual(kept, ['busy']);
    const patch = await workspaces.keptPatch('busy');
    assert.ok(patch);
    assert.equal(await workspaces.keptPatch('idle'), undefined);
    git(clone, 'apply', patch.path);
    assert.equal(readFileSync(join(clone, 'a.txt'), 'utf8'), 'changed\n');
    assert.equal(readFileSync(join(clone, 'blob.bin'), 'latin1'), 'a\0b');
    await workspaces.forgetPatch('busy');
    assert.equal(await workspaces.keptPatch('busy'), undefined);
  });

  test('survives the death of the server, and its leftovers do not', async () => {
    const { clone } = makeClone(sandbox);
    const dead = await open(clone);
    const worked = await dead.lease('worked', never);
    await dead.lease('idle', never);
    write(worked.path, { 'a.txt': 'changed\n', 'new.txt': 'new\n' });
    const next = await open(clone);
    await waitUntil('the patch is kept', () => next.keptPatch('worked'));
    await waitUntil('the leftovers are gone', () => worktreesLeft().length === 0);
    assert.equal(await next.keptPatch('idle'), undefined);
    const patch = await next.keptPatch('worked');
    git(clone, 'apply', patch?.path ?? '');
    assert.equal(readFileSync(join(clone, 'new.txt'), 'utf8'), 'new\n');
  });

  test('is kept again when its worktree cannot be told, until it can', async () => {
    const { clone } = makeClone(sandbox);
    const problems: string[] = [];
    const dead = await open(clone, { onProblem: (what) => problems.push(what) });
    const lease = await dead.lease('worked', never);
    write(lease.path, { 'a.txt': 'changed\n' });
    const record = join(sandbox.dataDir, 'worktrees/worked/.baseline/objects/info/alternates');
    const alternates = readFileSync(record, 'utf8');
    writeFileSync(record, '/nonexistent\n');
    await lease.release();
    await waitUntil('the trouble is told', () => problems.length > 0);
    const [left = ''] = worktreesLeft();
    writeFileSync(join(sandbox.dataDir, 'worktrees', left, '.baseline/objects/info/alternates'), alternates);
    const next = await open(clone);
    await waitUntil('the patch is kept', () => next.keptPatch('worked'));
  });

  test('is nothing when an agent has put a link in the place of its folder', async () => {
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
    assert.equal(await workspaces.keptPatch('run'), undefined);
    assert.equal(readFileSync(join(secret, 'key'), 'utf8'), 'sesame');
  });

  test('goes when it is older than it may be', async () => {
    const { clone } = makeClone(sandbox);
    const first = await open(clone);
    const lease = await first.lease('old', never);
    write(lease.path, { 'a.txt': 'changed\n' });
    await lease.release();
    await waitUntil('the patch is kept', () => first.keptPatch('old'));
    const later = await open(clone, { keepPatchesMs: -1000 });
    await waitUntil('the patch is gone', async () => !(await later.keptPatch('old')));
  });
});
