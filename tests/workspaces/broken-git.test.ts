/** What an agent or the user has done to git itself does not hide the work of a run. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { commit, git, gitEnvironment, makeClone, write } from '../support/git-repositories.ts';
import { never, open, sandbox } from './setup.ts';

/** Runs git, which may fail or stop in the middle. */
function tryGit(folder: string, ...args: string[]): void {
  try {
    execFileSync('git', args, { cwd: folder, env: gitEnvironment, stdio: 'pipe' });
  } catch {
    // A merge or a rebase stops at a conflict.
  }
}

/** Two branches with different texts in `a.txt`. */
function makeConflict(folder: string): void {
  git(folder, 'checkout', '-q', '-b', 'theirs');
  commit(folder, { 'a.txt': 'theirs\n' });
  git(folder, 'checkout', '-q', 'main');
  commit(folder, { 'a.txt': 'ours\n' });
}

const deeds: Record<string, (folder: string) => void> = {
  'committed and amended': (folder) => {
    commit(folder, { 'c.txt': 'c\n' });
    git(folder, 'commit', '-q', '--amend', '-m', 'again');
  },
  'switched branches and detached HEAD': (folder) => {
    git(folder, 'checkout', '-q', '-b', 'other');
    git(folder, 'checkout', '-q', '--detach');
  },
  'removed .git': (folder) => rmSync(join(folder, '.git'), { recursive: true }),
  'replaced .git with a link': (folder) => {
    rmSync(join(folder, '.git'), { recursive: true });
    symlinkSync(sandbox.folder, join(folder, '.git'));
  },
  'broken the index, and left a lock': (folder) => {
    writeFileSync(join(folder, '.git/index'), 'no index');
    writeFileSync(join(folder, '.git/index.lock'), '');
  },
  'broken HEAD and the settings': (folder) => {
    writeFileSync(join(folder, '.git/HEAD'), 'nonsense');
    writeFileSync(join(folder, '.git/config'), '[broken');
  },
  'hidden files from git': (folder) => {
    git(folder, 'update-index', '--assume-unchanged', 'a.txt');
    git(folder, 'update-index', '--skip-worktree', 'old.txt');
    writeFileSync(join(folder, '.git/info/exclude'), '*\n');
    writeFileSync(join(folder, '.git/info/attributes'), '* -text eol=crlf\n');
  },
};

describe('the work of an agent in a worktree is collected and delivered, although it has', () => {
  for (const [what, deed] of Object.entries(deeds)) {
    test(what, async () => {
      const { clone, remote } = makeClone(sandbox, { 'a.txt': 'one\n', 'old.txt': 'old\n' });
      const run = await (await open(clone)).lease('run', never);
      deed(run.path);
      write(run.path, { 'a.txt': 'two\n', 'b.txt': 'b\n' });
      rmSync(join(run.path, 'old.txt'));
      const changes = (await run.collect()).files.map(({ change, path }) => `${change} ${path}`);
      const made = what.startsWith('committed') ? ['added c.txt'] : [];
      assert.deepEqual(changes, ['modified a.txt', 'added b.txt', ...made, 'deleted old.txt']);
      assert.equal((await run.deliver({ branch: 'agent/run', message: 'x' })).state, 'pushed');
      assert.equal(git(remote, 'show', 'agent/run:a.txt'), 'two');
    });
  }

  for (const [what, args] of [
    ['stopped in the middle of a merge', ['merge', 'theirs']],
    ['stopped in the middle of a rebase', ['rebase', 'theirs']],
  ] as const) {
    test(what, async () => {
      const { clone } = makeClone(sandbox);
      const run = await (await open(clone)).lease('run', never);
      makeConflict(run.path);
      tryGit(run.path, ...args);
      assert.match((await run.collect()).patch ?? '', /^\+<<<<<<< /m);
    });
  }

  test('stashed its work, which is then none, and reset its branch', async () => {
    const { clone } = makeClone(sandbox);
    const run = await (await open(clone)).lease('run', never);
    commit(run.path, { 'b.txt': 'b\n' });
    git(run.path, 'reset', '-q', '--hard', 'HEAD~1');
    write(run.path, { 'a.txt': 'two\n' });
    git(run.path, 'stash', '-q');
    assert.deepEqual((await run.collect()).files, []);
  });
});

describe('the work of a run in a shared workspace is collected, although', () => {
  const shared = { workspaceMode: 'shared', gitSync: 'off' } as const;
  const pathsOf = async (run: { collect(): Promise<{ files: { path: string }[] }> }) =>
    (await run.collect()).files.map(({ path }) => path);

  test('the user has told git not to look at the files', async () => {
    const { clone } = makeClone(sandbox, { 'a.txt': 'one\n', 'b.txt': 'one\n', 'c.txt': 'one\n' });
    git(clone, 'update-index', '--assume-unchanged', 'a.txt');
    git(clone, 'update-index', '--skip-worktree', 'b.txt');
    write(clone, { 'b.txt': 'mine\n' });
    const run = await (await open(clone, shared)).lease('run', never);
    assert.deepEqual(await pathsOf(run), []);
    write(clone, { 'a.txt': 'two\n', 'b.txt': 'two\n' });
    assert.match((await run.collect()).patch ?? '', /^-mine\n\+two$/m);
    assert.deepEqual(await pathsOf(run), ['a.txt', 'b.txt']);
    await run.release();
    assert.equal(git(clone, 'ls-files', '-v'), 'h a.txt\nS b.txt\nH c.txt');
  });

  test('the index is split, or broken by the run before', async () => {
    const { clone } = makeClone(sandbox, { 'a.txt': 'one\n', 'b.txt': 'one\n' });
    git(clone, 'update-index', '--split-index');
    const workspaces = await open(clone, shared);
    const split = await workspaces.lease('split', never);
    write(clone, { 'a.txt': 'two\n' });
    assert.deepEqual(await pathsOf(split), ['a.txt']);
    writeFileSync(join(clone, '.git/index'), 'no index');
    await split.release();
    const broken = await workspaces.lease('broken', never);
    assert.deepEqual(await pathsOf(broken), []);
    write(clone, { 'b.txt': 'two\n' });
    assert.deepEqual(await pathsOf(broken), ['b.txt']);
    await broken.release();
  });

  test('the run breaks HEAD, the settings and the index', async () => {
    const { clone } = makeClone(sandbox);
    const run = await (await open(clone, shared)).lease('run', never);
    rmSync(join(clone, '.git/HEAD'));
    for (const name of ['config', 'index']) writeFileSync(join(clone, '.git', name), '[broken');
    write(clone, { 'b.txt': 'b\n' });
    assert.deepEqual(await pathsOf(run), ['b.txt']);
    await run.release();
  });

  test('the user is in the middle of a merge', async () => {
    const { clone } = makeClone(sandbox);
    makeConflict(clone);
    tryGit(clone, 'merge', 'theirs');
    const run = await (await open(clone, shared)).lease('run', never);
    assert.deepEqual(await pathsOf(run), []);
    write(clone, { 'a.txt': 'solved\n' });
    assert.match((await run.collect()).patch ?? '', /^-<<<<<<< [\s\S]*^\+solved$/m);
    await run.release();
  });

  test('it is in a repository that the run has made; one from before is named', async () => {
    const { clone } = makeClone(sandbox);
    for (const name of ['before', 'made']) mkdirSync(join(clone, name));
    git(join(clone, 'before'), 'init', '-q');
    const run = await (await open(clone, shared)).lease('run', never);
    git(join(clone, 'made'), 'init', '-q');
    write(clone, { 'before/a.txt': 'a\n', 'made/b.txt': 'b\n' });
    const { files, omitted } = await run.collect();
    assert.deepEqual(
      files.map(({ path }) => path),
      ['made/b.txt'],
    );
    assert.deepEqual(omitted, [
      { path: 'before', reason: 'nested_repository' },
      { path: 'made/.git', reason: 'nested_repository' },
    ]);
    await run.release();
  });

  test('there were empty folders and ignored files before, of which the record names only new ones', async () => {
    const { clone } = makeClone(sandbox, { '.gitignore': '*.log\n' });
    mkdirSync(join(clone, 'empty'));
    write(clone, { 'old.log': 'x\n' });
    const run = await (await open(clone, shared)).lease('run', never);
    write(clone, { 'new.log': 'x\n' });
    assert.deepEqual((await run.collect()).omitted, [{ path: 'new.log', reason: 'ignored' }]);
    await run.release();
  });
});
