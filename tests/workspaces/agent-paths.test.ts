/** Paths that an agent chooses do not lead the server out of the working tree, whatever links are on the way. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { insideOf } from '../../src/workspaces/changes/inside.ts';
import type { WorkspaceLease } from '../../src/workspaces/workspaces.ts';
import { git, makeClone, write } from '../support/git-repositories.ts';
import { addToIndex, filesBelow } from './agent-index.ts';
import { never, open, sandbox, worktreesLeft } from './setup.ts';

/** A folder that no agent may reach, with a file at several depths. */
function makeHost(): string {
  const host = join(sandbox.folder, 'host');
  write(host, { precious: 'sesame\n', 'b/precious': 'sesame\n', 'b/c/precious': 'sesame\n' });
  return host;
}

/** Each makes a way out, and returns the path that leads to a file of the host. */
const waysOut: [string, (folder: string, host: string) => string][] = [
  ['a link at the top', (at, host) => linked(at, 'link', host, 'precious')],
  ['a link below a folder', (at, host) => linked(at, 'd/link', host, 'precious')],
  ['a link at the third step', (at, host) => linked(at, 'd/e/link', host, 'precious')],
  ['a link, with folders of the host below it', (at, host) => linked(at, 'link', host, 'b/c/precious')],
  ['a link to a link', (at, host) => linked(at, 'other', linkTo(at, 'link', host), 'precious')],
  ['a relative link', (at) => linked(at, 'link', '../../../../host', 'precious')],
  ['a link to a file', (at, host) => linked(at, 'link', join(host, 'precious'), 'precious')],
  ['a link to itself', (at) => linked(at, 'link', 'link', 'precious')],
  [
    'a link to a folder inside, in which is a link',
    (at, host) => {
      mkdirSync(join(at, 'real'));
      linkTo(at, 'real/link', host);
      return linked(at, 'in', 'real', 'link/precious');
    },
  ],
  ['steps up', () => '../../../../host/precious'],
  [
    'steps up from a folder',
    (at) => {
      mkdirSync(join(at, 'd'));
      return 'd/../../../../../host/precious';
    },
  ],
  ['an absolute path', (_, host) => `${host}/precious`],
  [
    'a link in place of a tracked folder',
    (at, host) => {
      rmSync(join(at, 'tracked'), { recursive: true });
      return linked(at, 'tracked', host, 'precious');
    },
  ],
];

function linkTo(folder: string, path: string, target: string): string {
  mkdirSync(join(folder, path, '..'), { recursive: true });
  symlinkSync(target, join(folder, path));
  return join(folder, path);
}

function linked(folder: string, path: string, target: string, below: string): string {
  linkTo(folder, path, target);
  return `${path}/${below}`;
}

/** The ignored file makes the server ask which ignored files the agent has added to its index. */
const bait = (path: string) => ({
  '.gitignore': 'precious\nx.log\n',
  'x.log': 'x',
  'work.txt': 'work\n',
  '.gitattributes': `${path} working-tree-encoding=UTF-16 text ident\n`,
});

async function nothingLeaves(run: WorkspaceLease, remote: string, host: string, before: string): Promise<void> {
  const { patch = '', files, omitted = [], patchOmitted } = await run.collect();
  assert.doesNotMatch(patch, /sesame/);
  const outside = [...files, ...omitted].filter(({ path }) => path.endsWith('/precious'));
  // The only change of a file with this name is that the tracked folder is gone.
  assert.deepEqual(
    outside.filter((each) => !('change' in each && each.change === 'deleted')),
    [],
  );
  assert.equal(patchOmitted, undefined);
  assert.ok(
    files.some(({ path }) => path === 'work.txt'),
    JSON.stringify(files),
  );
  const { state } = await run.deliver({ branch: 'agent/run', message: 'x' });
  assert.equal(state, 'pushed');
  for (const line of git(remote, 'ls-tree', '-r', 'agent/run').split('\n')) {
    const [, kind, oid = ''] = line.split(/\s+/);
    if (kind === 'blob') assert.doesNotMatch(git(remote, 'cat-file', 'blob', oid), /sesame/);
  }
  assert.equal(filesBelow(host), before);
}

describe('an entry in the index of an agent leads to no file outside', () => {
  for (const [what, make] of waysOut) {
    for (const flag of ['', '--skip-worktree', '--assume-unchanged', '--intent-to-add'] as const) {
      // Only one way is enough to see what the flags of an entry do.
      if (flag !== '' && !/top|tracked/.test(what)) continue;
      test(`by ${what} ${flag}`, async () => {
        const host = makeHost();
        const { clone, remote } = makeClone(sandbox, { 'a.txt': 'one\n', 'tracked/precious': 'one\n' });
        const workspaces = await open(clone);
        const collected = await workspaces.lease('collected', never);
        const kept = await workspaces.lease('kept', never);
        const before = filesBelow(host);
        for (const run of [collected, kept]) {
          const path = make(run.path, host);
          write(run.path, bait(path));
          // Git itself removes entries below a link only when it is asked to.
          addToIndex(run.path, path);
          if (flag.startsWith('--s') || flag.startsWith('--a')) {
            execFileSync('git', ['update-index', flag, '--', path], { cwd: run.path, stdio: 'ignore' });
          }
        }
        await nothingLeaves(collected, remote, host, before);
        await collected.release();
        await kept.release();
        await workspaces.close();
        assert.equal(filesBelow(host), before);
        assert.deepEqual(worktreesLeft(), []);
        const files = join(sandbox.dataDir, 'patches');
        assert.doesNotMatch(filesBelow(files), /precious/);
      });
    }
  }

  test('when the entry was renamed', async () => {
    const host = makeHost();
    const { clone, remote } = makeClone(sandbox, { 'a.txt': 'one\n', 'old/precious': 'one\n' });
    const run = await (await open(clone)).lease('run', never);
    git(run.path, 'mv', 'old', 'new');
    rmSync(join(run.path, 'new'), { recursive: true });
    symlinkSync(host, join(run.path, 'new'));
    write(run.path, bait('new/precious'));
    await nothingLeaves(run, remote, host, filesBelow(host));
  });

  test('when the entry has a merge conflict', async () => {
    const host = makeHost();
    const { clone, remote } = makeClone(sandbox);
    const run = await (await open(clone)).lease('run', never);
    const path = linked(run.path, 'link', host, 'precious');
    write(run.path, bait(path));
    const oid = git(run.path, 'hash-object', '-w', 'a.txt');
    const lines = [1, 2, 3].map((stage) => `100644 ${oid} ${stage}\t${path}\n`).join('');
    execFileSync('git', ['update-index', '--index-info'], { cwd: run.path, input: lines });
    await nothingLeaves(run, remote, host, filesBelow(host));
  });
});

test('an ignored file that the agent has added is collected, also beside such entries', async () => {
  makeHost();
  const { clone } = makeClone(sandbox);
  const run = await (await open(clone)).lease('run', never);
  write(run.path, { '.gitignore': '*.log\nprecious\n', 'd/x.log': 'forced\n' });
  git(run.path, 'add', '--force', 'd/x.log');
  addToIndex(run.path, '../../../../host/precious');
  const { files, patchOmitted } = await run.collect();
  assert.deepEqual([files.map(({ path }) => path), patchOmitted], [['.gitignore', 'd/x.log'], undefined]);
});

describe('the index of a shared workspace that an earlier agent has changed', () => {
  for (const [what, make] of waysOut.slice(0, 4)) {
    test(`leads to no file outside, by ${what}`, async () => {
      const host = makeHost();
      const { clone } = makeClone(sandbox, { 'a.txt': 'one\n', 'tracked/precious': 'one\n' });
      const workspaces = await open(clone, { workspaceMode: 'shared', gitSync: 'off' });
      const first = await workspaces.lease('first', never);
      const path = make(clone, host.replace('/../../../..', ''));
      const oid = git(clone, 'hash-object', '-w', 'a.txt');
      const lines = [1, 2, 3].map((stage) => `100644 ${oid} ${stage}\t${path}\n`).join('');
      execFileSync('git', ['update-index', '--index-info'], { cwd: clone, input: lines });
      await first.release();
      const run = await workspaces.lease('run', never);
      write(run.path, { 'work.txt': 'work\n', '.gitattributes': '* working-tree-encoding=UTF-16 ident\n' });
      const { patch = '', files } = await run.collect();
      assert.doesNotMatch(patch, /sesame/);
      assert.ok(files.some(({ path }) => path === 'work.txt'));
      await run.release();
    });
  }
});

describe('a path is inside a folder', () => {
  test('if its steps are names, and every step but the last is a folder', async () => {
    const folder = join(sandbox.folder, 'inside');
    write(folder, { 'a/b/c.txt': 'x', '\u00e9/x': 'x' });
    symlinkSync('a', join(folder, 'link'));
    symlinkSync('loop', join(folder, 'loop'));
    const isInside = insideOf(folder);
    for (const [path, expected] of [
      ['a', true],
      ['a/b/c.txt', true],
      ['a/b/missing', true],
      ['link', true],
      ['\u00c3\u00a9/x', true],
      ['a/missing/x', false],
      ['a/b/c.txt/x', false],
      ['link/b', false],
      ['link/b/c.txt', false],
      ['loop/x', false],
      ['', false],
      ['/a', false],
      ['a/', false],
      ['a//b', false],
      ['./a', false],
      ['a/./b', false],
      ['..', false],
      ['a/../a/b', false],
      ['a/b/..', false],
      ['a\0b', false],
    ] as const) {
      assert.equal(await isInside(path), expected, JSON.stringify(path));
    }
  });
});
