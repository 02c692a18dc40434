/** The worktrees of prewarmed and idle agents. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { commit, makeClone, pushFromElsewhere, write } from '../support/git-repositories.ts';
import { waitUntil } from '../support/wait-until.ts';
import { keptPatch, never, open, read, sandbox, worktreesLeft } from './setup.ts';

describe('the worktree of a prewarmed or idle agent', () => {
  test('becomes the worktree of a run, at the same path', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone);
    const prepared = await workspaces.prepare('prepared_1');
    assert.equal(prepared.clean, true);
    assert.ok(prepared.reads.length > 0);
    const lease = await prepared.lease('run', never);
    assert.ok(lease);
    assert.equal(lease.path, prepared.path);
    write(lease.path, { 'a.txt': 'changed\n' });
    await lease.release();
    await waitUntil('the patch is kept under the id of the run', () => keptPatch('run'));
  });

  test('is discarded when the workspace has a new commit', async () => {
    const { clone, remote } = makeClone(sandbox);
    const workspaces = await open(clone);
    const prepared = await workspaces.prepare('prepared_1');
    pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    assert.equal(await prepared.lease('run', never), undefined);
    assert.equal(existsSync(prepared.path), false);
  });

  test('is kept between the runs of a conversation, and is clean only when no run has changed anything', async () => {
    const { clone } = makeClone(sandbox, { 'a.txt': 'one\n', '.gitignore': '*.log\n' });
    const workspaces = await open(clone);
    const first = await workspaces.lease('first', never);
    const kept = await first.keep();
    assert.ok(kept);
    await waitUntil('it is found clean', () => kept.clean);
    const second = await kept.lease('second', never);
    assert.ok(second);
    write(second.path, { 'ignored.log': 'x\n' });
    const again = await second.keep();
    assert.ok(again);
    assert.equal(again.clean, false);
    const third = await again.lease('third', never);
    assert.ok(third);
    assert.equal(read(third, 'ignored.log'), 'x\n');
    commit(third.path, { 'a.txt': 'changed\n' });
    const last = await third.keep();
    assert.ok(last);
    await last.discard();
    assert.equal(last.clean, false);
    await waitUntil('the patch is kept', () => keptPatch('third'));
  });

  test('is removed when it is discarded', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone);
    const prepared = await workspaces.prepare('prepared_1');
    await prepared.discard();
    await waitUntil('the folder is removed', () => worktreesLeft().length === 0);
  });
});
