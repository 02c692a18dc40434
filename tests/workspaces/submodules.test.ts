/** Submodules in the work of a run: their commits are collected, and changes inside them are named and kept. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { addSubmodule, commit, git, makeClone, write } from '../support/git-repositories.ts';
import { waitUntil } from '../support/wait-until.ts';
import { keptPatch, never, open, sandbox, worktreesLeft } from './setup.ts';

function makeGround() {
  const { clone, remote } = makeClone(sandbox);
  const library = addSubmodule(sandbox, clone);
  git(clone, 'push', '-q');
  return { clone, remote, library };
}

const fill = (folder: string) => git(folder, 'submodule', '--quiet', 'update', '--init');

/** Fills the submodule before an edit of it. */
function filled(edit: (lib: string) => void): (lib: string) => void {
  return (lib) => {
    fill(join(lib, '..'));
    edit(lib);
  };
}

const changed = { path: 'lib', reason: 'submodule' };

describe('a submodule in a worktree', () => {
  test('that was filled and not changed is no change', async () => {
    const run = await (await open(makeGround().clone)).lease('run', never);
    fill(run.path);
    const { files, omitted } = await run.collect();
    assert.deepEqual([files, omitted], [[], undefined]);
  });

  test('whose commit was moved is a change of the commit', async () => {
    const { clone, remote, library } = makeGround();
    const next = commit(library, { 'lib.txt': 'next\n' });
    const run = await (await open(clone)).lease('run', never);
    fill(run.path);
    git(join(run.path, 'lib'), 'fetch', '-q');
    git(join(run.path, 'lib'), 'checkout', '-q', next);
    const { files, patch, omitted } = await run.collect();
    assert.deepEqual([files.map(({ path }) => path), omitted], [['lib'], undefined]);
    assert.match(patch ?? '', new RegExp(`^\\+Subproject commit ${next}$`, 'm'));
    assert.equal((await run.deliver({ branch: 'agent/run', message: 'x' })).state, 'pushed');
    assert.match(git(remote, 'ls-tree', 'agent/run', 'lib'), new RegExp(`^160000 commit ${next}`));
  });

  for (const [what, edit] of [
    ['has a changed file', filled((lib) => write(lib, { 'lib.txt': 'changed\n' }))],
    ['has a new file', filled((lib) => write(lib, { 'new.txt': 'new\n' }))],
    ['lacks a file', filled((lib) => rmSync(join(lib, 'lib.txt')))],
    ['was never filled, and has files', (lib: string) => write(lib, { 'new.txt': 'new\n' })],
    ['lost its .git, and has files', filled((lib) => rmSync(join(lib, '.git')))],
  ] as const) {
    test(`that ${what} is named, and its files are kept`, async () => {
      const { clone } = makeGround();
      const workspaces = await open(clone);
      const run = await workspaces.lease('run', never);
      edit(join(run.path, 'lib'));
      write(run.path, { 'b.txt': 'b\n' });
      const { files, omitted, patchOmitted } = await run.collect();
      assert.deepEqual([files.map(({ path }) => path), omitted], [['b.txt'], [changed]]);
      assert.equal(patchOmitted, 'changes inside a submodule: lib');
      const delivery = await run.deliver({ branch: 'agent/run', message: 'x' });
      assert.deepEqual(delivery.detail, 'the branch lacks some of the work: changes inside a submodule: lib');
      await run.release();
      await waitUntil('the work is kept', () => keptPatch('run'));
      await waitUntil('the worktree is gone', () => worktreesLeft().length === 0);
      if (/file/.test(what) && !/lacks|lost/.test(what)) {
        const name = /changed/.test(what) ? 'lib.txt' : 'new.txt';
        assert.match(readFileSync(join(sandbox.dataDir, 'patches/run.files/lib', name), 'utf8'), /^(changed|new)\n$/);
      }
    });
  }

  test('that was removed, or replaced by a file, is that change', async () => {
    const { clone } = makeGround();
    const workspaces = await open(clone);
    const removed = await workspaces.lease('removed', never);
    rmSync(join(removed.path, 'lib'), { recursive: true });
    assert.deepEqual(
      (await removed.collect()).files.map(({ path, change }) => `${change} ${path}`),
      ['deleted lib'],
    );
    const replaced = await workspaces.lease('replaced', never);
    rmSync(join(replaced.path, 'lib'), { recursive: true });
    write(replaced.path, { lib: 'a file\n' });
    const { patch, omitted } = await replaced.collect();
    assert.equal(omitted, undefined);
    assert.match(patch ?? '', /^deleted file mode 160000$/m);
    assert.match(patch ?? '', /^\+a file$/m);
  });

  test('that the agent has added is a submodule, but a repository without a declaration is its files', async () => {
    const { clone, library } = makeGround();
    const run = await (await open(clone)).lease('run', never);
    git(run.path, 'submodule', '--quiet', 'add', library, 'second');
    const other = join(run.path, 'other');
    mkdirSync(other);
    git(other, 'init', '-q');
    commit(other, { 'x.txt': 'x\n' });
    git(run.path, 'add', 'other');
    const { patch, files } = await run.collect();
    assert.deepEqual(
      files.map(({ path }) => path),
      ['.gitmodules', 'other/x.txt', 'second'],
    );
    assert.match(patch ?? '', new RegExp(`^\\+Subproject commit ${git(library, 'rev-parse', 'HEAD')}$`, 'm'));
  });
});
