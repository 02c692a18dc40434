/** The changes of a run: the list of files and the patch. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { WorkspaceSettings } from '../../src/workspaces/create.ts';
import { commit, git, makeClone, write } from '../support/git-repositories.ts';
import { keptPatch, never, open, sandbox } from './setup.ts';

async function lease(workspaceDir: string | undefined, settings: Partial<WorkspaceSettings> = {}) {
  const workspaces = await open(workspaceDir, { gitSync: 'off', ...settings });
  return workspaces.lease('run', never);
}

/** Enough text for git to detect that a file was renamed. */
const text = (name: string) => Array.from({ length: 20 }, (_, line) => `${name} line ${line}\n`).join('');

/** Applies the patch to a clean checkout and compares the result with the folder of the run. */
function assertSameAfterPatch(clone: string, patch: string, folder: string): void {
  const copy = join(sandbox.folder, 'copy');
  git(sandbox.folder, 'clone', '-q', clone, copy);
  writeFileSync(join(sandbox.folder, 'x.patch'), patch);
  git(copy, 'apply', '--index', join(sandbox.folder, 'x.patch'));
  git(folder, 'add', '--all');
  assert.equal(git(copy, 'ls-files', '--stage'), git(folder, 'ls-files', '--stage'));
}

describe('the changes of a run in a worktree', () => {
  test('are none at first', async () => {
    const { clone } = makeClone(sandbox);
    const run = await lease(clone);
    assert.deepEqual(await run.collect(), { revision: git(clone, 'rev-parse', 'HEAD'), files: [] });
  });

  test('are listed file by file and in a patch, for every kind of change', async () => {
    const { clone } = makeClone(sandbox, {
      'changed.txt': text('changed'),
      'renamed.txt': text('renamed'),
      'deleted.txt': text('deleted'),
      'mode.sh': 'echo\n',
      'crlf.txt': 'a\r\nb\r\n',
      'file-to-link': 'x\n',
      'file-to-folder': text('folder'),
      'folder-to-file/inside.txt': text('inside'),
      'no-end.txt': 'no newline',
      'ü/ö "quoted".txt': 'x\n',
    });
    const run = await lease(clone);
    const at = (path: string) => join(run.path, path);
    write(run.path, {
      'changed.txt': `${text('changed')}more\n`,
      'added.txt': 'new\n',
      empty: '',
      'no-end.txt': 'still',
    });
    renameSync(at('renamed.txt'), at('moved.txt'));
    rmSync(at('deleted.txt'));
    chmodSync(at('mode.sh'), 0o755);
    write(run.path, { 'crlf.txt': 'a\r\nc\r\n', 'ü/ö "quoted".txt': 'y\n', 'ü/neu.txt': 'z\n' });
    rmSync(at('file-to-link'));
    symlinkSync('changed.txt', at('file-to-link'));
    rmSync(at('file-to-folder'));
    write(run.path, { 'file-to-folder/inside.txt': 'deep\n' });
    rmSync(at('folder-to-file'), { recursive: true });
    write(run.path, { 'folder-to-file': 'flat\n' });
    writeFileSync(at('blob.bin'), Buffer.from([0, 1, 2, 255, 254, 10, 13]));
    writeFileSync(at('latin1.txt'), Buffer.from('caf\xe9\n', 'latin1'));
    const changes = await run.collect();
    assert.equal(changes.patchOmitted, undefined);
    const listed = changes.files.map(({ path, change, from, added, removed }) => [change, path, from, added, removed]);
    assert.deepEqual(listed, [
      ['added', 'added.txt', undefined, 1, 0],
      ['added', 'blob.bin', undefined, undefined, undefined],
      ['modified', 'changed.txt', undefined, 1, 0],
      ['modified', 'crlf.txt', undefined, 1, 1],
      ['deleted', 'deleted.txt', undefined, 0, 20],
      ['added', 'empty', undefined, 0, 0],
      ['deleted', 'file-to-folder', undefined, 0, 20],
      ['added', 'file-to-folder/inside.txt', undefined, 1, 0],
      ['modified', 'file-to-link', undefined, 1, 1],
      ['added', 'folder-to-file', undefined, 1, 0],
      ['deleted', 'folder-to-file/inside.txt', undefined, 0, 20],
      ['added', 'latin1.txt', undefined, 1, 0],
      ['modified', 'mode.sh', undefined, 0, 0],
      ['renamed', 'moved.txt', 'renamed.txt', 0, 0],
      ['modified', 'no-end.txt', undefined, 1, 1],
      ['added', 'ü/neu.txt', undefined, 1, 0],
      ['modified', 'ü/ö "quoted".txt', undefined, 1, 1],
    ]);
    assertSameAfterPatch(clone, changes.patch ?? '', run.path);
  });

  test('include what the agent committed, on any branch, but no ignored files', async () => {
    const { clone } = makeClone(sandbox, { 'a.txt': 'one\n', '.gitignore': '*.log\n' });
    const run = await lease(clone);
    commit(run.path, { 'committed.txt': 'x\n' });
    git(run.path, 'checkout', '-q', '-b', 'elsewhere');
    write(run.path, { 'uncommitted.txt': 'y\n', 'debug.log': 'z\n' });
    const { files } = await run.collect();
    assert.deepEqual(
      files.map(({ path }) => path),
      ['committed.txt', 'uncommitted.txt'],
    );
  });

  test('are found also when the agent has removed or replaced its own .git', async () => {
    const { clone } = makeClone(sandbox);
    const run = await lease(clone);
    write(run.path, { 'b.txt': 'x\n' });
    rmSync(join(run.path, '.git'), { recursive: true });
    assert.deepEqual((await run.collect()).files, [{ path: 'b.txt', change: 'added', added: 1, removed: 0 }]);
    writeFileSync(join(run.path, '.git'), 'gitdir: /nonexistent\n');
    assert.equal((await run.collect()).files.length, 1);
  });

  test('include the files of repositories that the agent made inside', async () => {
    const { clone } = makeClone(sandbox);
    const run = await lease(clone);
    for (const nested of ['fresh', 'used', 'used/deeper', 'ü']) {
      mkdirSync(join(run.path, nested), { recursive: true });
      git(join(run.path, nested), 'init', '-q');
    }
    write(run.path, { 'fresh/a.txt': 'a\n', 'used/deeper/c.txt': 'c\n', 'ü/d.txt': 'd\n', 'used/x.log': 'x\n' });
    write(run.path, { 'used/.gitignore': '*.log\n' });
    commit(join(run.path, 'used/deeper'), { 'c.txt': 'c\n' });
    commit(join(run.path, 'used'), { 'b.txt': 'b\n' });
    const { files } = await run.collect();
    assert.deepEqual(
      files.map(({ path }) => path),
      ['fresh/a.txt', 'used/.gitignore', 'used/b.txt', 'used/deeper/c.txt', 'ü/d.txt'],
    );
  });

  test('include files that the agent made unreadable', async () => {
    const { clone } = makeClone(sandbox);
    const run = await lease(clone);
    write(run.path, { 'b.txt': 'x\n', 'closed/c.txt': 'y\n' });
    chmodSync(join(run.path, 'b.txt'), 0);
    chmodSync(join(run.path, 'closed/c.txt'), 0);
    assert.deepEqual(
      (await run.collect()).files.map(({ path }) => path),
      ['b.txt', 'closed/c.txt'],
    );
  });

  test('are shown as text or as binary by their content, not by .gitattributes', async () => {
    const { clone } = makeClone(sandbox);
    const run = await lease(clone);
    write(run.path, { '.gitattributes': 'b.txt -diff\nc.bin diff\n', 'b.txt': 'x\n', 'c.bin': 'a\0b' });
    const { files, patch } = await run.collect();
    assert.deepEqual(
      files.map(({ path, added }) => [path, added]),
      [
        ['.gitattributes', 2],
        ['b.txt', 1],
        ['c.bin', undefined],
      ],
    );
    assert.match(patch ?? '', /^\+x$/m);
    assert.match(patch ?? '', /GIT binary patch/);
  });

  test('are limited in size and number, and name the limit', async () => {
    const { clone } = makeClone(sandbox);
    const run = await lease(clone, { changeLimits: { maxPatchBytes: 2000, maxFiles: 2 } });
    write(run.path, { 'a.txt': 'x\n', 'b.txt': 'y\n'.repeat(5000), 'c.txt': 'z\n', 'd.txt': 'z\n' });
    const changes = await run.collect();
    assert.equal(changes.files.length, 2);
    assert.ok((changes.patch ?? '').length <= 2000);
    assert.equal((changes.patch ?? '').match(/^diff --git/gm)?.length, 3);
    assert.equal(
      changes.patchOmitted,
      'the patch is limited to 2000 bytes and holds 3 of 4 files; over the limit of the patch: b.txt; 2 of 4 changed files are listed',
    );
  });

  test('are kept in full when they were collected only in part', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone, { changeLimits: { maxPatchBytes: 100, maxFiles: 10 } });
    const run = await workspaces.lease('run', never);
    write(run.path, { 'b.txt': 'y\n'.repeat(5000) });
    const { patch, patchOmitted } = await run.collect();
    assert.equal(patch, undefined);
    assert.match(patchOmitted ?? '', /holds 0 of 1 files/);
    await run.release();
    await workspaces.close();
    assert.ok(statSync(keptPatch('run') ?? '').size > 10_000);
  });
});

describe('the changes of a run in a shared workspace', () => {
  test('do not include uncommitted changes from before the run', async () => {
    const { clone } = makeClone(sandbox, { 'a.txt': 'one\n', 'b.txt': 'one\n' });
    write(clone, { 'a.txt': 'mine, before\n', 'untracked.txt': 'mine, before\n' });
    git(clone, 'add', 'a.txt');
    const status = git(clone, 'status', '--porcelain=v2');
    const run = await lease(clone, { workspaceMode: 'shared' });
    assert.deepEqual((await run.collect()).files, []);
    write(clone, { 'b.txt': 'by the run\n', 'c.txt': 'by the run\n' });
    assert.deepEqual(
      (await run.collect()).files.map(({ path }) => path),
      ['b.txt', 'c.txt'],
    );
    rmSync(join(clone, 'c.txt'));
    git(clone, 'checkout', '-q', 'b.txt');
    assert.equal(git(clone, 'status', '--porcelain=v2'), status);
    await run.release();
  });

  test('include what the run committed', async () => {
    const { clone } = makeClone(sandbox);
    const run = await lease(clone, { workspaceMode: 'shared' });
    commit(clone, { 'b.txt': 'x\n' });
    assert.deepEqual(
      (await run.collect()).files.map(({ path }) => path),
      ['b.txt'],
    );
  });

  test('cannot be found in a plain folder, and the reason is given', async () => {
    const folder = join(sandbox.folder, 'plain');
    mkdirSync(folder);
    const run = await lease(folder);
    assert.deepEqual(await run.collect(), { files: [], patchOmitted: 'the workspace is not a git repository' });
  });
});

describe('the changes of a run in a scratch folder', () => {
  test('are all files in it', async () => {
    const run = await lease(undefined);
    write(run.path, { 'a.txt': 'a\n', 'project/b.txt': 'b\n' });
    git(join(run.path, 'project'), 'init', '-q');
    const { files, patch } = await run.collect();
    assert.deepEqual(files, [
      { path: 'a.txt', change: 'added', added: 1, removed: 0 },
      { path: 'project/b.txt', change: 'added', added: 1, removed: 0 },
    ]);
    const elsewhere = join(sandbox.folder, 'elsewhere');
    mkdirSync(elsewhere);
    writeFileSync(join(sandbox.folder, 'x.patch'), patch ?? '');
    git(elsewhere, 'apply', join(sandbox.folder, 'x.patch'));
    assert.equal(readFileSync(join(elsewhere, 'project/b.txt'), 'utf8'), 'b\n');
    assert.deepEqual(await run.deliver({ branch: 'agent/run', message: 'x' }), {
      state: 'failed',
      branch: 'agent/run',
      detail: 'the run had no repository',
    });
    await run.release();
  });
});
