/** Copying an index keeps every later change visible to git. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { copyIndex } from '../../src/workspaces/changes/baseline.ts';
import { git, gitEnvironment, makeSandbox, write } from '../support/git-repositories.ts';

test('git sees a change made in the same instant as the index also with a copy of the index', async () => {
  const sandbox = makeSandbox();
  try {
    const { folder } = sandbox;
    const instant = new Date('2026-01-01T00:00:00Z');
    const [file, index, copy] = ['a.txt', '.git/index', 'copy'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    git(folder, 'init', '-q');
    // A test cannot set the ctime of a file, and git would notice the change by it.
    git(folder, 'config', 'core.trustctime', 'false');
    write(folder, { 'a.txt': '1\n' });
    utimesSync(file, instant, instant);
    git(folder, 'add', 'a.txt');
    utimesSync(index, instant, instant);
    write(folder, { 'a.txt': '2\n' });
    utimesSync(file, instant, instant);
    await copyIndex(index, copy);
    assert.ok(statSync(copy).mtimeMs <= statSync(index).mtimeMs);
    const env = { ...gitEnvironment, GIT_INDEX_FILE: copy };
    assert.equal(execFileSync('git', ['diff-files', '--name-only'], { cwd: folder, env, encoding: 'utf8' }), 'a.txt\n');
    await copyIndex(join(folder, 'none'), join(folder, 'none-copy'));
  } finally {
    sandbox.remove();
  }
});
