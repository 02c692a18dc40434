/** Work that git lists, stores or writes in a special way: it is collected byte for byte, or the record names it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Omission } from '../../src/task.ts';
import { differences, readTree } from '../support/compare-trees.ts';
import { commit, git, gitEnvironment, makeClone, write } from '../support/git-repositories.ts';
import { never, open, sandbox } from './setup.ts';

type Case = {
  what: string;
  /** The files of the commit. */
  files: Record<string, string>;
  /** Further changes of the user's repository, which are pushed with it. */
  prepare?: (clone: string) => void;
  edit: (folder: string) => void;
  /** `change path` of each changed file. */
  changes: string[];
  omitted?: Omission[];
};

const repository = (folder: string): void => {
  mkdirSync(folder, { recursive: true });
  git(folder, 'init', '-q');
};
const latin1 = (folder: string, path: string) =>
  Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(path, 'latin1')]);
const lines = (name: string) => Array.from({ length: 20 }, (_, line) => `${name} ${line}\n`).join('');

const cases: Case[] = [
  {
    what: 'a pipe at which git would wait',
    files: { 'a.txt': 'a\n' },
    edit: (folder) => {
      execFileSync('mkfifo', [join(folder, '.gitignore'), join(folder, '.gitattributes')]);
      write(folder, { 'b.txt': 'b\n' });
    },
    changes: ['added b.txt'],
    omitted: [
      { path: '.gitattributes', reason: 'special_file' },
      { path: '.gitignore', reason: 'special_file' },
    ],
  },
  {
    what: 'a repository in a folder whose name is no UTF-8, and deep ones',
    files: { 'a.txt': 'a\n' },
    edit: (folder) => {
      mkdirSync(latin1(folder, 'n\xe9/.git/objects'), { recursive: true });
      mkdirSync(latin1(folder, 'n\xe9/.git/refs'));
      writeFileSync(latin1(folder, 'n\xe9/.git/HEAD'), 'ref: refs/heads/main\n');
      writeFileSync(latin1(folder, 'n\xe9/x'), 'x');
      const deep = 'd/'.repeat(7);
      for (let depth = 1; depth <= 7; depth += 1) repository(join(folder, deep.slice(0, depth * 2)));
      write(folder, { [`${deep}x`]: 'x' });
    },
    changes: ['added d/d/d/d/d/d/d/x', 'added "n\\351/x"'],
    omitted: [
      ...[1, 2, 3, 4, 5, 6, 7].map((depth) => ({
        path: `${'d/'.repeat(depth)}.git`,
        reason: 'nested_repository' as const,
      })),
      { path: '"n\\351/.git"', reason: 'nested_repository' },
    ],
  },
  {
    what: 'a tracked file that became a repository, and a tracked folder that became a repository without files',
    files: { 'a.txt': 'a\n', 'd/b.txt': lines('b') },
    edit: (folder) => {
      rmSync(join(folder, 'a.txt'));
      repository(join(folder, 'a.txt'));
      commit(join(folder, 'a.txt'), { inside: 'x\n' });
      rmSync(join(folder, 'd/b.txt'));
      repository(join(folder, 'd'));
    },
    changes: ['deleted a.txt', 'added a.txt/inside', 'deleted d/b.txt'],
    omitted: [
      { path: 'a.txt/.git', reason: 'nested_repository' },
      { path: 'd/.git', reason: 'nested_repository' },
    ],
  },
  {
    what: 'ignored files, of which the agent has added one, and folders without files',
    files: { '.gitignore': '*.log\nout/\n' },
    edit: (folder) => {
      write(folder, { 'a.log': 'a\n', 'b.log': 'b\n', 'out/c': 'c\n' });
      git(folder, 'add', '--force', 'b.log');
      mkdirSync(join(folder, 'empty/deep'), { recursive: true });
    },
    changes: ['added b.log'],
    omitted: [
      { path: 'a.log', reason: 'ignored' },
      { path: 'empty/deep', reason: 'empty_folder' },
      { path: 'out/', reason: 'ignored' },
    ],
  },
  {
    what: 'line ends that git would convert',
    files: { '.gitattributes': '* text=auto eol=lf\n', 'a.txt': 'one\ntwo\n' },
    edit: (folder) => write(folder, { 'a.txt': 'one\r\ntwo\n', 'b.txt': 'b\r\n', 'c.txt': 'c\rd\n' }),
    changes: ['modified a.txt', 'added b.txt', 'added c.txt'],
  },
  {
    what: 'line ends that git can only write in another form',
    files: { '.gitattributes': '*.txt text eol=crlf\n', 'a.txt': 'one\ntwo\n' },
    edit: (folder) => write(folder, { 'a.txt': 'one\ntwo\n', 'b.md': 'b\n' }),
    changes: ['added b.md'],
    omitted: [{ path: 'a.txt', reason: 'converted' }],
  },
  {
    what: 'attributes that the agent has changed together with the files',
    files: { '.gitattributes': '*.txt text eol=crlf\n', 'a.txt': 'one\ntwo\n' },
    edit: (folder) => write(folder, { '.gitattributes': '*.txt -text\n', 'a.txt': 'one\r\nTWO\r\n', 'b.txt': 'b\n' }),
    changes: ['modified .gitattributes', 'modified a.txt', 'added b.txt'],
    omitted: [{ path: 'b.txt', reason: 'converted' }],
  },
  {
    what: 'an expanded $Id$, and a text that is not in its encoding',
    files: { '.gitattributes': '*.c ident\n*.u working-tree-encoding=UTF-16LE\n', 'a.c': '$Id$\n', 'd.c': '$Id$\n' },
    edit: (folder) => {
      write(folder, { 'a.c': '$Id: 123$\n', 'b.u': 'abc', 'c.txt': 'c\n' });
      // Another id of the same length: git takes the file for unchanged.
      write(folder, { 'd.c': readFileSync(join(folder, 'd.c'), 'utf8').replace(/[0-9a-f]{40}/, '0'.repeat(40)) });
      writeFileSync(join(folder, 'e.u'), Buffer.from('fine\n', 'utf16le'));
    },
    changes: ['added b.u', 'added c.txt', 'added e.u'],
    omitted: [
      { path: 'a.c', reason: 'converted' },
      { path: 'b.u', reason: 'converted' },
      { path: 'd.c', reason: 'converted' },
    ],
  },
  {
    what: 'more files in another encoding than one process of git writes',
    files: Object.fromEntries(
      Array.from({ length: 20 }, (_, at) => [`d${at}/.gitattributes`, '*.u working-tree-encoding=UTF-16LE\n']),
    ),
    prepare: (clone) => {
      for (let at = 0; at < 400; at += 1) {
        writeFileSync(join(clone, `d${at % 20}/${at}.u`), Buffer.from(`${at}\n`, 'utf16le'));
      }
    },
    edit: (folder) => write(folder, { 'b.txt': 'b\n' }),
    changes: ['added b.txt'],
  },
  {
    what: 'a link that was renamed, files in a folder in its place, and links to targets in any bytes',
    files: { 'x.txt': lines('x') },
    prepare: (clone) => symlinkSync('x.txt', join(clone, 'link')),
    edit: (folder) => {
      renameSync(join(folder, 'link'), join(folder, 'moved'));
      mkdirSync(join(folder, 'link'));
      renameSync(join(folder, 'x.txt'), join(folder, 'link/x.txt'));
      symlinkSync(Buffer.from('t\xe9', 'latin1'), join(folder, 'new'));
    },
    changes: ['renamed link/x.txt', 'renamed moved', 'added new'],
  },
  {
    what: 'names that end with a space in a folder, and binary, empty and renamed files in it',
    files: { 'd /a.txt': lines('a') },
    edit: (folder) => {
      renameSync(join(folder, 'd /a.txt'), join(folder, 'd /b.txt'));
      write(folder, { 'd /empty': '', 'd /blob': '\0', 'd /text': 'x\r\rdiff --git a/x b/x\n' });
    },
    changes: ['renamed d /b.txt', 'added d /blob', 'added d /empty', 'added d /text'],
  },
  {
    what: 'a file that is too large',
    files: { 'a.txt': 'a\n' },
    edit: (folder) => {
      write(folder, { huge: '', 'b.txt': 'b\n' });
      truncateSync(join(folder, 'huge'), 257 * 1024 * 1024);
    },
    changes: ['added b.txt'],
    omitted: [{ path: 'huge', reason: 'too_large' }],
  },
  {
    what: 'modes and case although the settings of the repository hide them',
    files: { 'a.txt': 'a\n', 'b.txt': lines('b') },
    prepare: (clone) => {
      for (const [name, value] of [
        ['core.filemode', 'false'],
        ['core.ignorecase', 'true'],
        ['core.symlinks', 'false'],
      ]) {
        git(clone, 'config', name as string, value as string);
      }
    },
    edit: (folder) => {
      chmodSync(join(folder, 'a.txt'), 0o755);
      renameSync(join(folder, 'b.txt'), join(folder, 'B.txt'));
    },
    changes: ['renamed B.txt', 'modified a.txt'],
  },
];

describe('the patch and the branch of a run', () => {
  for (const { what, files, prepare, edit, changes, omitted = [] } of cases) {
    test(`have every byte, or the record names it: ${what}`, async () => {
      const { clone, remote } = makeClone(sandbox, files);
      prepare?.(clone);
      if (git(clone, 'status', '--porcelain') !== '') commit(clone, {});
      git(clone, 'push', '-q');
      const run = await (await open(clone)).lease('run', never);
      edit(run.path);
      const expected = readTree(run.path);
      const collected = await run.collect();
      assert.deepEqual(
        collected.files.map(({ change, path }) => `${change} ${path}`),
        changes,
      );
      assert.deepEqual(collected.omitted ?? [], omitted);
      const named = omitted.map(({ path }) => path);
      const copy = join(sandbox.folder, 'copy');
      git(sandbox.folder, '-c', 'checkout.workers=1', 'clone', '-q', remote, copy);
      execFileSync('git', ['apply', '--index', '--whitespace=nowarn'], {
        cwd: copy,
        env: gitEnvironment,
        input: collected.patch,
      });
      assert.deepEqual(differences(expected, readTree(copy), named), []);
      assert.equal((await run.deliver({ branch: 'agent/run', message: 'x' })).state, 'pushed');
      assert.equal(git(copy, 'write-tree'), git(remote, 'rev-parse', 'agent/run^{tree}'));
    });
  }

  test('have the right numbers of lines after a file whose name begins with a tab', async () => {
    const { clone } = makeClone(sandbox);
    const run = await (await open(clone)).lease('run', never);
    write(run.path, { '\tone': '1\n', '\t': '1\n2\n', '\t\t3': '', 'z.txt': '1\n2\n3\n' });
    renameSync(join(run.path, 'a.txt'), join(run.path, '\ta.txt'));
    const { files } = await run.collect();
    assert.deepEqual(
      files.map(({ path, added, removed }) => [path, added, removed]),
      [
        ['\t', 2, 0],
        ['\t\t3', 0, 0],
        ['\ta.txt', 0, 0],
        ['\tone', 1, 0],
        ['z.txt', 3, 0],
      ],
    );
  });

  test('do not depend on paths in the index of the agent that lead out of the workspace', async () => {
    const { clone } = makeClone(sandbox, { 'a.txt': 'one\n', 'xx/xx/xx/victim': 'v\n', 'yyyy/victim': 'v\n' });
    const victim = join(sandbox.dataDir, 'victim');
    writeFileSync(victim, 'victim');
    const run = await (await open(clone)).lease('run', never);
    write(run.path, { '.gitignore': 'victim\nx.log\n', 'x.log': 'x' });
    const index = join(run.path, '.git/index');
    const entries = readFileSync(index, 'latin1')
      .slice(0, -20)
      .replace('xx/xx/xx/victim', '../../../victim')
      .replace('yyyy/victim', '.git/victim');
    const sum = createHash('sha1').update(entries, 'latin1').digest().toString('latin1');
    writeFileSync(index, entries + sum, 'latin1');
    const { files, patchOmitted } = await run.collect();
    assert.deepEqual([files.map(({ path }) => path), patchOmitted], [['.gitignore'], undefined]);
    assert.equal(readFileSync(victim, 'utf8'), 'victim');
  });

  test('name a socket, also in place of a tracked file', async () => {
    const { clone } = makeClone(sandbox);
    const run = await (await open(clone)).lease('run', never);
    const path = join(run.path, 'a.txt');
    unlinkSync(path);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const { files, omitted } = await run.collect();
    server.close();
    assert.deepEqual(files, [{ path: 'a.txt', change: 'deleted', added: 0, removed: 1 }]);
    assert.deepEqual(omitted, [{ path: 'a.txt', reason: 'special_file' }]);
  });
});
