/** What must be removed is removed: again after a failure, and never through a link. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createCleanup } from '../../src/processes/cleanup.ts';
import { removeFolder } from '../../src/processes/remove-folder.ts';
import { scratchFolder } from '../support/fake-model-agent.ts';
import { waitUntil } from '../support/wait-until.ts';

describe('a cleanup', () => {
  test('does a step again until it succeeds, and reports each failure', async (t) => {
    const problems: string[] = [];
    const cleanup = createCleanup((what) => problems.push(what));
    t.after(() => cleanup.close());
    let attempts = 0;
    await cleanup.run('not yet', async () => {
      attempts += 1;
      if (attempts < 3) throw new Error('the disk is full');
    });
    assert.equal(attempts, 1);
    await waitUntil('the step has succeeded', () => attempts === 3);
    assert.deepEqual(problems, ['not yet', 'not yet']);
  });

  test('tries no more when it is closed, and waits for a step that is running', async () => {
    const cleanup = createCleanup(() => {});
    let attempts = 0;
    await cleanup.run('never', async () => {
      attempts += 1;
      throw new Error('no');
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    let done = false;
    void cleanup.run('slow', async () => {
      await promise;
      done = true;
    });
    const closed = cleanup.close();
    resolve();
    await closed;
    assert.deepEqual([attempts, done], [1, true]);
  });

  test('empties a folder, and makes it if it is missing', async (t) => {
    const cleanup = createCleanup((what, error) => assert.fail(`${what}: ${error}`));
    t.after(() => cleanup.close());
    const folder = join(await scratchFolder(t), 'new');
    await cleanup.empty('left', folder);
    mkdirSync(join(folder, 'one/two'), { recursive: true });
    writeFileSync(join(folder, 'three'), 'x');
    await cleanup.empty('left', folder);
    assert.deepEqual(readdirSync(folder), []);
  });
});

describe('the removal of a folder', () => {
  for (const count of [1, 100]) {
    test(`that an agent has replaced with a link leaves the target of the link, with ${count} files`, async (t) => {
      const scratch = await scratchFolder(t);
      const target = join(scratch, 'target');
      mkdirSync(target);
      for (let at = 0; at < count; at += 1) writeFileSync(join(target, `file${at}`), 'mine');
      const folder = join(scratch, 'folder');
      symlinkSync(target, folder);
      await removeFolder(folder);
      assert.equal(existsSync(folder), false);
      assert.equal(readdirSync(target).length, count);
      mkdirSync(folder);
      symlinkSync(target, join(folder, 'link'));
      await removeFolder(folder);
      assert.equal(readFileSync(join(target, 'file0'), 'utf8'), 'mine');
    });
  }
});
