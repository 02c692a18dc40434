/** Agents that are kept in a worktree between runs. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { commit, makeClone, pushFromElsewhere, write } from '../support/git-repositories.ts';
import { waitUntil } from '../support/wait-until.ts';
import { open, read, sandbox, worktreesLeft } from './bed.ts';
import { never } from './support.ts';

describe('an agent that waits or rests in a worktree', () => {
  test('finds its folder claimed by a run, at the same path', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone);
    const prepared = await workspaces.prepare('spare_1');
    assert.equal(prepared.clean, true);
    assert.ok(prepared.reads.length > 0);
    const lease = await prepared.claim('run', never);
    assert.ok(lease);
    assert.equal(lease.path, prepared.path);
    write(lease.path, { 'a.txt': 'changed\n' });
    await lease.release();
    await waitUntil('the patch is kept under the name of the run', () => workspaces.keptPatch('run'));
  });

  test('loses it when the workspace has moved on', async () => {
    const { clone, remote } = makeClone(sandbox);
    const workspaces = await open(clone);
    const prepared = await workspaces.prepare('spare_1');
    pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    assert.equal(await prepared.claim('run', never), undefined);
    assert.equal(existsSync(prepared.path), false);
  });

  test('keeps it between the turns of a conversation, and counts it clean only when nothing was done', async () => {
    const { clone } = makeClone(sandbox, { 'a.txt': 'one\n', '.gitignore': '*.log\n' });
    const workspaces = await open(clone);
    const first = await workspaces.lease('first', never);
    const rested = await first.keep();
    assert.ok(rested);
    await waitUntil('it is found clean', () => rested.clean);
    const second = await rested.claim('second', never);
    assert.ok(second);
    write(second.path, { 'ignored.log': 'x\n' });
    const again = await second.keep();
    assert.ok(again);
    assert.equal(again.clean, false);
    const third = await again.claim('third', never);
    assert.ok(third);
    assert.equal(read(third, 'ignored.log'), 'x\n');
    commit(third.path, { 'a.txt': 'changed\n' });
    const last = await third.keep();
    assert.ok(last);
    await last.discard();
    assert.equal(last.clean, false);
    await waitUntil('the patch is kept', () => workspaces.keptPatch('third'));
  });

  test('leaves nothing behind when it is not wanted any more', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone);
    const prepared = await workspaces.prepare('spare_1');
    await prepared.discard();
    await waitUntil('the folder is removed', () => worktreesLeft().length === 0);
  });
});
