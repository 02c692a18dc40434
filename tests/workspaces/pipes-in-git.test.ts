/** Git would wait for ever at a pipe that it opens by a fixed name. A run that has made one loses no other work. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { createGit } from '../../src/workspaces/git/git.ts';
import { commit, git, gitEnvironment, makeClone, write } from '../support/git-repositories.ts';
import { never, open, sandbox } from './setup.ts';

function makePipe(path: string): void {
  rmSync(path, { recursive: true, force: true });
  mkdirSync(dirname(path), { recursive: true });
  execFileSync('mkfifo', [path]);
}

function makeNested(folder: string): void {
  mkdirSync(folder, { recursive: true });
  git(folder, 'init', '-q', '--initial-branch=main');
  commit(folder, { 'inside.txt': 'inside\n' });
}

/** A repository outside of the workspace in which git would wait. */
function makeTrap(): string {
  const trap = join(sandbox.folder, 'trap');
  makeNested(trap);
  makePipe(join(trap, '.git/HEAD'));
  return join(trap, '.git');
}

const pipes = ['HEAD', 'config', 'index', 'packed-refs', 'refs/heads/main', 'refs', 'objects', 'commondir', 'shallow'];

const nested: Record<string, (folder: string) => void> = {
  ...Object.fromEntries(
    pipes.map((name) => [`a pipe called ${name}`, (folder: string) => makePipe(join(folder, '.git', name))]),
  ),
  'a pipe instead of its .git': (folder) => makePipe(join(folder, '.git')),
  'no .git but a link to a folder in which git waits': (folder) => {
    rmSync(join(folder, '.git'), { recursive: true });
    symlinkSync(makeTrap(), join(folder, '.git'));
  },
  'a file .git that names a folder in which git waits': (folder) => {
    rmSync(join(folder, '.git'), { recursive: true });
    write(folder, { '.git': `gitdir: ${makeTrap()}\n` });
  },
  'a file .git that names a folder of the workspace in which git waits': (folder) => {
    rmSync(join(folder, '.git'), { recursive: true });
    makeTrap();
    symlinkSync('../trap', join(folder, '../link'));
    write(folder, { '.git': 'gitdir: ../link\n' });
  },
  'a ref that is a link to a pipe': (folder) => {
    rmSync(join(folder, '.git/refs/heads/main'));
    symlinkSync(join(makeTrap(), 'HEAD'), join(folder, '.git/refs/heads/main'));
  },
  'refs that are a link to a folder with a pipe': (folder) => {
    const trap = makeTrap();
    makePipe(join(trap, 'refs/heads/main'));
    rmSync(join(folder, '.git/refs'), { recursive: true });
    symlinkSync(join(trap, 'refs'), join(folder, '.git/refs'));
  },
  'a file commondir that names a folder in which git waits': (folder) => {
    const trap = makeTrap();
    makePipe(join(trap, 'refs/heads/main'));
    rmSync(join(folder, '.git/refs/heads/main'));
    write(folder, { '.git/commondir': `${trap}\n` });
  },
};

describe('a run in a worktree whose nested repository has', () => {
  for (const [what, make] of Object.entries(nested)) {
    test(`${what} is collected`, async () => {
      const { clone } = makeClone(sandbox);
      const run = await (await open(clone)).lease('run', never);
      write(run.path, { 'work.txt': 'work\n' });
      makeNested(join(run.path, 'nested'));
      make(join(run.path, 'nested'));
      const { files, patchOmitted } = await run.collect();
      assert.equal(patchOmitted, undefined);
      const paths = files.map(({ path }) => path);
      assert.ok(paths.includes('work.txt') && paths.includes('nested/inside.txt'), paths.join());
      const trap = join(sandbox.folder, 'trap/.git/HEAD');
      assert.equal(existsSync(trap), existsSync(dirname(trap)), 'a file outside of the workspace is gone');
      await run.release();
    });
  }
});

describe('a run in a shared workspace with a nested repository that has', () => {
  for (const what of ['a pipe called HEAD', 'a file .git that names a folder in which git waits'] as const) {
    test(`${what} is told so at once`, async () => {
      const { clone } = makeClone(sandbox);
      const run = await (await open(clone, { workspaceMode: 'shared' })).lease('run', never);
      makeNested(join(clone, 'nested'));
      nested[what]?.(join(clone, 'nested'));
      assert.match((await run.collect()).patchOmitted ?? '', /git would wait for ever at .*HEAD, which is not a file/);
      await run.release();
    });
  }
});

describe('the work of a run in a shared workspace is collected and kept apart from what it does to .git, such as', () => {
  for (const name of [
    'info/attributes',
    'info/exclude',
    'packed-refs',
    'shallow',
    'refs/heads/none',
    'HEAD',
    'config',
  ]) {
    test(`a pipe called ${name}`, async () => {
      const { clone } = makeClone(sandbox);
      const run = await (await open(clone, { workspaceMode: 'shared' })).lease('run', never);
      makePipe(join(clone, '.git', name));
      write(clone, { 'b.txt': 'b\n' });
      const { files, patchOmitted } = await run.collect();
      assert.deepEqual([files.map(({ path }) => path), patchOmitted], [['b.txt'], undefined]);
      const { state, detail } = await run.deliver({ branch: 'agent/run', message: 'x' });
      assert.deepEqual([state, detail], ['failed', `an agent has put a way out into its .git: ${name}`]);
      await run.release();
    });
  }

  test('a pipe among the objects, which are needed', async () => {
    const { clone } = makeClone(sandbox);
    const run = await (await open(clone, { workspaceMode: 'shared' })).lease('run', never);
    makePipe(join(clone, '.git/objects/pack/pack-1.idx'));
    write(clone, { 'b.txt': 'b\n' });
    assert.match((await run.collect()).patchOmitted ?? '', /a way out into its .git: objects\/pack\/pack-1.idx$/);
    await run.release();
    assert.equal(readFileSync(join(clone, 'b.txt'), 'utf8'), 'b\n');
  });

  test('settings that hide its files', async () => {
    const { clone } = makeClone(sandbox);
    write(clone, { '.git/info/exclude': 'private.txt\n', 'private.txt': 'private\n' });
    const run = await (await open(clone, { workspaceMode: 'shared' })).lease('run', never);
    write(clone, { 'b.txt': 'b\n', '.git/info/exclude': '*\n' });
    assert.deepEqual(
      (await run.collect()).files.map(({ path }) => path),
      ['b.txt'],
    );
    await run.release();
  });
});

test('a worktree with a pipe that git or the server would open is not given to another run', async () => {
  const { clone } = makeClone(sandbox, { 'a.txt': 'one\n', '.gitignore': 'nested\n' });
  const workspaces = await open(clone);
  for (const name of ['nested/.git/HEAD', '.git/config', '.gitattributes']) {
    const run = await workspaces.lease('run', never);
    makePipe(join(run.path, name));
    const kept = await run.keep();
    await kept.discard();
    assert.equal(kept.clean, false, name);
  }
});

test('a git command that waits at a pipe is stopped long before its time limit', {
  skip: process.platform !== 'linux' && 'the kernel does not tell that a process waits at a pipe',
}, async () => {
  const { clone } = makeClone(sandbox);
  makePipe(join(clone, '.git/index'));
  const place = { gitDir: join(clone, '.git'), workTree: clone };
  const { stopped, reason } = await createGit(gitEnvironment)(place, ['ls-files'], { timeoutMs: 600_000 });
  assert.deepEqual(
    [stopped, reason],
    ['waits_at_pipe', 'git would wait for ever at a named pipe in the place of a file'],
  );
});
