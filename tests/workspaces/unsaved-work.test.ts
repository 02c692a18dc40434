/** Work counts as saved only if all of it is in the patch or in the branch. What is named as missing is kept. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { addSubmodule, git, makeClone, write } from '../support/git-repositories.ts';
import { runOnSmallDisk } from '../support/small-disk.ts';
import { never, open, sandbox } from './setup.ts';

/** A clone with a submodule `lib`. */
function makeGround() {
  const { clone } = makeClone(sandbox);
  addSubmodule(sandbox, clone);
  git(clone, 'push', '-q');
  return clone;
}

const missing: [string, string, string, (folder: string) => void][] = [
  ['a name that git refuses', 'd/.GIT', 'git does not allow the name', (at) => write(at, { 'd/.GIT': 'work\n' })],
  [
    'a file that is too large',
    'big.bin',
    'too large',
    (at) => {
      writeFileSync(join(at, 'big.bin'), '');
      truncateSync(join(at, 'big.bin'), 257 * 1024 * 1024);
    },
  ],
  [
    'a file in a submodule',
    'lib/new.txt',
    'changes inside a submodule',
    (at) => write(at, { 'lib/new.txt': 'work\n' }),
  ],
];

describe('work that a branch cannot hold is kept', () => {
  for (const [what, path, reason, edit] of missing) {
    for (const [how, others] of [
      ['nothing else has changed', {}],
      ['the rest is pushed', { 'b.txt': 'b\n' }],
    ] as const) {
      for (const collects of [false, true]) {
        test(`${what}, when ${how}, and ${collects ? 'the work is collected too' : 'only delivered'}`, async () => {
          const workspaces = await open(makeGround());
          const run = await workspaces.lease('run', never);
          edit(run.path);
          write(run.path, others);
          if (collects) assert.match((await run.collect()).patchOmitted ?? '', new RegExp(reason));
          const delivery = await run.deliver({ branch: 'agent/run', message: 'x' });
          assert.equal(delivery.state, 'b.txt' in others ? 'pushed' : 'nothing_to_push');
          assert.match(delivery.detail ?? '', new RegExp(`${reason}: ${path.replace('/new.txt', '')}`));
          await run.release();
          await workspaces.close();
          assert.ok(existsSync(join(sandbox.dataDir, 'patches/run.files', path)));
        });
      }
    }
  }

  test('and replaces what was kept of an earlier run with the same id', async () => {
    const workspaces = await open(makeGround());
    for (const name of ['first.txt', 'second.txt']) {
      const run = await workspaces.lease('run', never);
      write(run.path, { [`lib/${name}`]: 'work\n' });
      await run.release();
    }
    await workspaces.close();
    assert.deepEqual(readdirSync(join(sandbox.dataDir, 'patches/run.files/lib')), ['second.txt']);
  });

  test('but nothing is kept of a run that has pushed all of its work, or has changed nothing', async () => {
    const workspaces = await open(makeGround());
    const pushed = await workspaces.lease('pushed', never);
    write(pushed.path, { 'b.txt': 'b\n' });
    assert.equal((await pushed.deliver({ branch: 'agent/run', message: 'x' })).state, 'pushed');
    await pushed.release();
    const idle = await workspaces.lease('idle', never);
    assert.deepEqual(await idle.deliver({ branch: 'agent/idle', message: 'x' }), {
      state: 'nothing_to_push',
      branch: 'agent/idle',
    });
    await idle.release();
    await workspaces.close();
    assert.equal(existsSync(join(sandbox.dataDir, 'patches')), false);
  });
});

/** Makes nested folders, with steps of `length` bytes, and a file in the last one, whose path can be too long. */
function makeDeep(
  folder: string,
  top: string,
  steps: number,
  length: number,
  make = 'open("precious","w").write("work")',
) {
  const program = [
    'import os,sys',
    'os.chdir(sys.argv[1]); os.mkdir(sys.argv[2]); os.chdir(sys.argv[2])',
    `for i in range(${steps}): os.mkdir("d"*${length}); os.chdir("d"*${length})`,
    make,
  ].join('\n');
  execFileSync('python3', ['-c', program, folder, top]);
}

describe('a file whose path is too long', () => {
  for (const [what, make] of [
    ['a file', undefined],
    ['a link', 'os.symlink("x","precious")'],
    ['a file in a folder without permissions', 'os.mkdir("p"); open("p/precious","w").close(); os.chmod("p",0)'],
    ['an empty file', 'open("precious","w").close()'],
  ] as const) {
    test(`is named by a folder above it, and kept: ${what}`, async () => {
      const { clone } = makeClone(sandbox);
      const workspaces = await open(clone);
      const run = await workspaces.lease('run', never);
      makeDeep(run.path, 'top', 30, 200, make);
      write(run.path, { 'b.txt': 'b\n', 'top/c.txt': 'c\n' });
      const { files, omitted = [], patchOmitted } = await run.collect();
      assert.deepEqual(
        files.map(({ path }) => path),
        ['b.txt', 'top/c.txt'],
      );
      assert.deepEqual(
        omitted.map(({ reason }) => reason),
        ['path_too_long'],
      );
      assert.match(omitted[0]?.path ?? '', /^top\/d/);
      assert.match(patchOmitted ?? '', /^files whose paths are too long for the system: top\/d/);
      await run.release();
      await workspaces.close();
      const found = execFileSync('find', [join(sandbox.dataDir, 'patches/run.files'), '-name', 'precious']);
      assert.match(found.toString(), /precious/);
      execFileSync('rm', ['-rf', join(sandbox.dataDir, 'patches')]);
    });
  }

  test('is found at every length around the limit of the system', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone);
    const run = await workspaces.lease('run', never);
    const start = Math.floor((4095 - run.path.length) / 101) - 1;
    for (let length = 0; length < 210; length += 7) {
      const last = `n=${length}; a="e"*min(n,150) or "e"; os.mkdir(a); os.chdir(a); b="f"*max(n-150,1); open(b,"w").write("x")`;
      makeDeep(run.path, `t${length}`, start, 100, last);
    }
    const { files, omitted = [] } = await run.collect();
    const tops = (found: { path: string }[]) => found.map(({ path }) => path.split('/')[0] ?? '');
    const [collected, named] = [tops(files), tops(omitted)];
    assert.ok(collected.length > 0 && named.length > 0, `${collected.length} ${named.length}`);
    for (let length = 0; length < 210; length += 7) {
      assert.ok(collected.includes(`t${length}`) || named.includes(`t${length}`), `t${length}`);
    }
    await run.release();
    await workspaces.close();
    execFileSync('rm', ['-rf', join(sandbox.dataDir, 'patches')]);
  });
});

test('a full disk is the reason that the work is not collected, and the work is kept when there is room', (t) => {
  const printed = runOnSmallDisk(t, 'full-disk-collect.ts', join(sandbox.folder, 'small'), 8);
  if (printed === undefined) return;
  const { collected, delivered, applies } = JSON.parse(printed);
  assert.match(collected.patchOmitted, /^the changes could not be collected: .*(disk is full|No space left)/);
  assert.doesNotMatch(printed, /unreadable|not readable|small/);
  assert.deepEqual([collected.files, delivered.state, applies], [[], 'failed', true]);
});
