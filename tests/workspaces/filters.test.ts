/** Files that git stores through a filter, such as Git LFS: the server runs no filter, and never stores a file's bytes in place of its pointer. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, test } from 'node:test';
import type { WorkspaceSettings } from '../../src/workspaces/create.ts';
import { commit, git, gitEnvironment, makeClone, write } from '../support/git-repositories.ts';
import { never, open, read, sandbox } from './setup.ts';

const old = 'the old content\n'.repeat(1000);
const changed = 'the new content\n'.repeat(1000);

function pointerTo(content: string): string {
  const sum = createHash('sha256').update(content).digest('hex');
  return `version https://git-lfs.github.com/spec/v1\noid sha256:${sum}\nsize ${content.length}\n`;
}

/** The environment of a user who has installed a filter like Git LFS, and of the server. */
let withFilter: Record<string, string>;
const ran = () => existsSync(join(sandbox.folder, 'ran'));

/** A filter that keeps contents in a folder by their SHA-256, and stores pointers. */
beforeEach(() => {
  const store = join(sandbox.folder, 'store');
  mkdirSync(store);
  const filter = join(sandbox.folder, 'filter');
  writeFileSync(
    filter,
    `#!/bin/sh
: > '${join(sandbox.folder, 'ran')}'
cat > '${store}'/$$
case $1 in
  clean)
    if head -c 40 '${store}'/$$ | grep -q '^version https://git-lfs'; then cat '${store}'/$$; exit; fi
    sum=$(sha256sum < '${store}'/$$ | cut -d' ' -f1)
    printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%s\\nsize %s\\n' $sum $(stat -c %s '${store}'/$$)
    mv '${store}'/$$ '${store}'/$sum;;
  smudge) cat '${store}'/$(sed -n 's/^oid sha256://p' '${store}'/$$);;
esac
`,
    { mode: 0o755 },
  );
  const settings = join(sandbox.folder, 'gitconfig');
  const commands = `\tclean = ${filter} clean\n\tsmudge = ${filter} smudge\n\trequired = true\n`;
  writeFileSync(settings, `[filter "lfs"]\n${commands}[filter "other"]\n${commands}`);
  withFilter = { ...gitEnvironment, GIT_CONFIG_GLOBAL: settings };
});

/** Git as the user runs it, with the filter. */
function userGit(folder: string, ...args: string[]): string {
  return execFileSync('git', args, { cwd: folder, env: withFilter, encoding: 'utf8', stdio: 'pipe' }).trim();
}

/** The user has `big.bin` with its content, and the repository has a pointer. */
function makeGround() {
  const { clone, remote } = makeClone(sandbox, { '.gitattributes': '*.bin filter=lfs\n', 'a.txt': 'one\n' });
  write(clone, { 'big.bin': old });
  userGit(clone, 'add', '.');
  userGit(clone, 'commit', '-q', '-m', 'big');
  git(clone, 'push', '-q');
  const colleague = join(sandbox.folder, 'colleague');
  userGit(sandbox.folder, 'clone', '-q', remote, colleague);
  rmSync(join(sandbox.folder, 'ran'));
  return { clone, remote, colleague };
}

function pushByColleague(colleague: string, files: Record<string, string>): void {
  write(colleague, files);
  userGit(colleague, 'add', '.');
  userGit(colleague, 'commit', '-q', '-m', 'by a colleague');
  userGit(colleague, 'push', '-q');
  rmSync(join(sandbox.folder, 'ran'), { force: true });
}

async function lease(clone: string, settings: Partial<WorkspaceSettings> = {}) {
  const workspaces = await open(clone, { environment: withFilter, gitSync: 'required', ...settings });
  return workspaces.lease('run', never);
}

const shared = { workspaceMode: 'shared' } as const;
const request = { branch: 'agent/run', message: 'x' };

describe('the sync of a shared workspace with filtered files', () => {
  test('leaves a file with its content as it is, and a note names it', async () => {
    const { clone, remote, colleague } = makeGround();
    pushByColleague(colleague, { 'big.bin': changed, 'a.txt': 'two\n' });
    const run = await lease(clone, shared);
    assert.equal(git(clone, 'rev-parse', 'HEAD'), git(remote, 'rev-parse', 'main'));
    assert.equal(read(run, 'a.txt'), 'two\n');
    assert.equal(read(run, 'big.bin'), old);
    const note = 'These files were left as they are, because git stores them through a filter: big.bin.';
    assert.deepEqual([run.sync.notes, run.fileNotes], [[note], [note]]);
    assert.equal(ran(), false);
    assert.deepEqual((await run.collect()).files, []);
    await run.release();
    assert.equal(userGit(clone, 'status', '--porcelain'), 'M big.bin');
    userGit(clone, 'checkout', '-q', '--', 'big.bin');
    assert.equal(readFileSync(join(clone, 'big.bin'), 'utf8'), changed);
  });

  test('goes on after a file was left, also when local commits must be rebased', async () => {
    const { clone, remote, colleague } = makeGround();
    pushByColleague(colleague, { 'big.bin': changed });
    await (await lease(clone, shared)).release();
    git(clone, 'commit', '-q', '--allow-empty', '-m', 'mine');
    pushByColleague(colleague, { 'a.txt': 'two\n' });
    const run = await lease(clone, shared);
    assert.equal(git(clone, 'rev-parse', 'HEAD~1'), git(remote, 'rev-parse', 'main'));
    assert.equal(read(run, 'big.bin'), old);
    await run.release();
  });

  test('replaces a pointer by the new pointer, and adds new files as pointers with a note', async () => {
    const { remote, colleague } = makeGround();
    const pointers = join(sandbox.folder, 'pointers');
    git(sandbox.folder, 'clone', '-q', remote, pointers);
    pushByColleague(colleague, { 'big.bin': changed, 'new.bin': changed });
    const run = await lease(pointers, shared);
    assert.equal(read(run, 'big.bin'), pointerTo(changed));
    assert.equal(read(run, 'new.bin'), pointerTo(changed));
    assert.match(
      run.sync.notes?.join() ?? '',
      /as git stores them, because the server runs no filter: big\.bin, new\.bin/,
    );
    await run.release();
  });

  test('that cannot move the checkout changes nothing', async () => {
    const { clone, colleague } = makeGround();
    pushByColleague(colleague, { 'big.bin': changed, 'a.txt': 'two\n' });
    write(clone, { 'a.txt': 'uncommitted\n' });
    const before = userGit(clone, 'status', '--porcelain');
    const run = await lease(clone, { ...shared, gitSync: 'best-effort' });
    assert.equal(run.sync.state, 'failed');
    assert.equal(userGit(clone, 'status', '--porcelain'), before);
    await run.release();
  });
});

describe('the delivery from a workspace with filtered files', () => {
  for (const workspaceMode of ['shared', 'worktree'] as const) {
    test(`pushes the pointer of an unchanged file, in ${workspaceMode} mode`, async () => {
      const { clone, remote } = makeGround();
      const run = await lease(clone, { workspaceMode });
      // As after `git lfs pull`.
      write(run.path, { 'big.bin': old, 'work.txt': 'work\n' });
      assert.deepEqual(
        (await run.collect()).files.map(({ path }) => path),
        ['work.txt'],
      );
      const delivery = await run.deliver(request);
      assert.equal(delivery.state, 'pushed', delivery.detail);
      assert.equal(git(remote, 'show', 'agent/run:big.bin'), pointerTo(old).trim());
      assert.equal(ran(), false);
      await run.release();
    });

    test(`is refused if such a file was changed, and the change is collected, in ${workspaceMode} mode`, async () => {
      const { clone } = makeGround();
      const run = await lease(clone, { workspaceMode });
      write(run.path, { 'big.bin': changed, 'added.bin': 'added\n' });
      const { files, patch } = await run.collect();
      assert.deepEqual(
        files.map(({ path }) => path),
        ['added.bin', 'big.bin'],
      );
      assert.match(patch ?? '', /^\+the new content$/m);
      const { state, detail } = await run.deliver(request);
      assert.equal(state, 'failed');
      assert.match(detail ?? '', /through a filter, such as Git LFS, .*: added\.bin, big\.bin$/);
      assert.equal(ran(), false);
      await run.release();
    });
  }

  test('pushes new and changed pointers', async () => {
    const { clone, remote } = makeGround();
    const run = await lease(clone);
    write(run.path, { 'big.bin': pointerTo(changed), 'added.bin': pointerTo('x') });
    assert.equal((await run.deliver(request)).state, 'pushed');
    assert.equal(git(remote, 'show', 'agent/run:added.bin'), pointerTo('x').trim());
  });

  test('is refused for a file with a filter that is not Git LFS', async () => {
    const { clone } = makeGround();
    commit(clone, { '.gitattributes': '*.key filter=other\n' });
    git(clone, 'push', '-q');
    const run = await lease(clone);
    assert.deepEqual(run.fileNotes, [
      'Files with the git filter other are as git stores them; the filter does not run.',
    ]);
    write(run.path, { 'private.key': 'plain\n' });
    assert.match((await run.deliver(request)).detail ?? '', /private\.key/);
    assert.equal(ran(), false);
  });
});

test('a worktree names all folders of objects itself, because Git LFS does not look into nested ones', async () => {
  const { remote } = makeGround();
  const borrower = join(sandbox.folder, 'borrower');
  git(sandbox.folder, 'clone', '-q', '--shared', remote, borrower);
  const run = await lease(borrower);
  const named = read(run, '.git/objects/info/alternates').trim().split('\n');
  assert.ok(named.includes(join(borrower, '.git/objects')));
  assert.ok(named.includes(join(remote, 'objects')));
});

for (const workspaceMode of ['worktree', 'shared'] as const) {
  test(`a new mode of a file with its content is a change, and the pointer stays, in ${workspaceMode} mode`, async () => {
    const { clone, remote } = makeGround();
    const run = await lease(clone, { workspaceMode });
    writeFileSync(join(run.path, 'big.bin'), old);
    chmodSync(join(run.path, 'big.bin'), 0o755);
    const { files, patch } = await run.collect();
    assert.deepEqual(files, [{ path: 'big.bin', change: 'modified', added: 0, removed: 0 }]);
    assert.equal(patch, 'diff --git a/big.bin b/big.bin\nold mode 100644\nnew mode 100755\n');
    const { state, detail } = await run.deliver({ branch: 'agent/run', message: 'x' });
    assert.equal(state, 'pushed', detail);
    assert.match(git(remote, 'ls-tree', 'agent/run', 'big.bin'), /^100755 /);
    assert.equal(git(remote, 'show', 'agent/run:big.bin'), pointerTo(old).trim());
  });
}
