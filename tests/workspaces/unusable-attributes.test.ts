/** An attribute with which git refuses to read files costs only the conversion of these files, and the record names it. */
import assert from 'node:assert/strict';
import { chmodSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { git, makeClone, write } from '../support/git-repositories.ts';
import { never, open, sandbox } from './setup.ts';

/** Files `.gitattributes`, and the line that git cannot use. */
const attributes: Record<string, { files: Record<string, string>; line: string }> = {
  'an encoding without a value': {
    files: { '.gitattributes': '# attributes\n*.txt working-tree-encoding\n' },
    line: '.gitattributes:2',
  },
  'an encoding that is unset': {
    files: { 'd/.gitattributes': '*.txt text -working-tree-encoding\n' },
    line: 'd/.gitattributes:1',
  },
  'a macro with an encoding without a value': {
    files: { '.gitattributes': '[attr]odd working-tree-encoding\n*.txt odd\n' },
    line: '.gitattributes:1',
  },
};

const before = {
  'd/a.txt': 'one\n',
  'd/same.txt': 'same\n',
  'd/gone.txt': 'gone\n',
  'd/mode.txt': 'mode\n',
  'b.c': 'b\n',
};

describe('the work of a run is collected and delivered, although the run has written', () => {
  for (const [what, { files, line }] of Object.entries(attributes)) {
    for (const workspaceMode of ['worktree', 'shared'] as const) {
      test(`${what}, in ${workspaceMode} mode`, async () => {
        const { clone, remote } = makeClone(sandbox, before);
        const run = await (await open(clone, { workspaceMode })).lease('run', never);
        write(run.path, { ...files, 'd/a.txt': 'two\r\n', 'd/new.txt': 'new\n', 'b.c': 'b2\n', 'new.c': 'new\n' });
        chmodSync(join(run.path, 'd/mode.txt'), 0o755);
        rmSync(join(run.path, 'd/gone.txt'));
        symlinkSync('new.txt', join(run.path, 'd/link.txt'));
        const { files: changes, omitted, patchOmitted } = await run.collect();
        assert.deepEqual(
          changes.map(({ change, path }) => `${change} ${path}`).sort(),
          [
            ...Object.keys(files).map((path) => `added ${path}`),
            'added d/link.txt',
            'added d/new.txt',
            'added new.c',
            'deleted d/gone.txt',
            'modified b.c',
            'modified d/a.txt',
            'modified d/mode.txt',
          ].sort(),
        );
        const named = ['d/a.txt', 'd/mode.txt', 'd/new.txt'];
        assert.deepEqual(
          omitted,
          named.map((path) => ({ path, reason: 'converted' })),
        );
        assert.equal(
          patchOmitted,
          `git will write other bytes, because of its attributes: ${named.map((path) => `${path} (${line})`).join(', ')}`,
        );
        const { state, detail } = await run.deliver({ branch: 'agent/run', message: 'x' });
        assert.equal(state, 'pushed', detail);
        assert.match(detail ?? '', new RegExp(`d/a\\.txt \\(${line.replaceAll('.', '\\.')}\\)`));
        assert.equal(git(remote, 'cat-file', '-p', 'agent/run:d/a.txt'), 'two');
        assert.equal(git(remote, 'cat-file', '-p', 'agent/run:new.c'), 'new');
        assert.match(git(remote, 'ls-tree', 'agent/run', 'd/mode.txt'), /^100755 /);
      });
    }
  }
});
