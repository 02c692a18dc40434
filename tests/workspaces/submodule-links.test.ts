/** Submodules that lead out of the working tree: through a link above them, or by a `.git` that an agent has written. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { addSubmodule, commit, git, makeClone, write } from '../support/git-repositories.ts';
import { addToIndex, filesBelow } from './agent-index.ts';
import { never, open, sandbox } from './setup.ts';

describe('a submodule whose folder is reached through a link', () => {
  for (const [what, at, link] of [
    ['in place of the folder above it', 'vendor/lib', 'vendor'],
    ['two folders above it', 'vendor/b/lib', 'vendor'],
    ['in the middle', 'vendor/b/lib', 'vendor/b'],
    ['in place of the submodule itself', 'vendor/lib', 'vendor/lib'],
  ] as const) {
    test(`is neither read nor moved: ${what}`, async () => {
      const { clone } = makeClone(sandbox);
      addSubmodule(sandbox, clone, at);
      git(clone, 'push', '-q');
      const host = join(sandbox.folder, 'host');
      write(host, { 'lib/precious': 'sesame\n', 'b/lib/precious': 'sesame\n', precious: 'sesame\n' });
      const before = filesBelow(host);
      const workspaces = await open(clone);
      for (const id of ['one', 'two']) {
        const run = await workspaces.lease(id, never);
        rmSync(join(run.path, link), { recursive: true });
        symlinkSync(host, join(run.path, link));
        if (id === 'one') {
          const { files, omitted, patchOmitted } = await run.collect();
          assert.deepEqual([omitted, patchOmitted], [undefined, undefined]);
          assert.deepEqual(new Set(files.map(({ path }) => path)), new Set([link, at]));
        }
        await run.release();
      }
      await workspaces.close();
      assert.equal(filesBelow(host), before);
      assert.deepEqual(readdirSync(join(sandbox.dataDir, 'patches')), ['two.patch']);
    });
  }
});

describe('a submodule that an agent has added', () => {
  for (const [what, plant] of [
    [
      'its .git names a repository outside',
      (lib: string, hidden: string) => write(lib, { '.git': `gitdir: ${hidden}\n` }),
    ],
    ['its .git is a link', (lib: string, hidden: string) => symlinkSync(hidden, join(lib, '.git'))],
    [
      'its .git names a folder that is a link',
      (lib: string, hidden: string) => {
        symlinkSync(hidden, join(lib, 'other'));
        write(lib, { '.git': 'gitdir: other\n' });
      },
    ],
    [
      'its HEAD is a link',
      (lib: string, hidden: string) => {
        git(lib, 'init', '-q');
        rmSync(join(lib, '.git/HEAD'));
        symlinkSync(join(hidden, 'refs/heads/main'), join(lib, '.git/HEAD'));
      },
    ],
    [
      'its branch is a link',
      (lib: string, hidden: string) => {
        git(lib, 'init', '-q', '-b', 'main');
        symlinkSync(join(hidden, 'refs/heads/main'), join(lib, '.git/refs/heads/main'));
      },
    ],
    [
      'its branches are in a folder that is a link',
      (lib: string, hidden: string) => {
        git(lib, 'init', '-q', '-b', 'main');
        rmSync(join(lib, '.git/refs/heads'), { recursive: true });
        symlinkSync(join(hidden, 'refs/heads'), join(lib, '.git/refs/heads'));
      },
    ],
    [
      'its refs are those of another repository',
      (lib: string, hidden: string) => {
        git(lib, 'init', '-q', '-b', 'main');
        write(lib, { '.git/commondir': `${hidden}\n` });
      },
    ],
    [
      'its packed refs are a link',
      (lib: string, hidden: string) => {
        git(join(hidden, '..'), 'pack-refs', '--all');
        git(lib, 'init', '-q', '-b', 'main');
        symlinkSync(join(hidden, 'packed-refs'), join(lib, '.git/packed-refs'));
      },
    ],
  ] as const) {
    for (const tracked of [false, true]) {
      test(`does not show the commit of another repository: ${what}${tracked ? ', and the commit has it' : ''}`, async () => {
        const hidden = join(sandbox.folder, 'hidden');
        git(sandbox.folder, 'init', '-q', '-b', 'main', hidden);
        const secret = commit(hidden, { 'x.txt': 'x\n' });
        const library = join(sandbox.folder, 'library');
        git(sandbox.folder, 'init', '-q', '-b', 'main', library);
        commit(library, { 'lib.txt': 'lib\n' });
        const { clone } = makeClone(sandbox);
        if (tracked) git(clone, 'submodule', '--quiet', 'add', library, 'lib');
        if (tracked) commit(clone, {});
        const workspaces = await open(clone, { gitSync: 'off' });
        const run = await workspaces.lease('run', never);
        const lib = join(run.path, 'lib');
        mkdirSync(lib, { recursive: true });
        plant(lib, join(hidden, '.git'));
        write(run.path, { 'lib/work.txt': 'work\n', '.gitmodules': '[submodule "lib"]\npath = lib\nurl = ../lib\n' });
        if (!tracked) addToIndex(run.path, 'lib', '160000');
        const { patch = '', files, omitted = [], patchOmitted } = await run.collect();
        assert.doesNotMatch(patch, new RegExp(secret));
        const shown = files.some(({ path }) => path === 'lib/work.txt');
        const named = omitted.some(({ path, reason }) => path === 'lib' && reason === 'submodule');
        assert.ok(shown || named, JSON.stringify({ files, omitted, patchOmitted }));
      });
    }
  }
});
