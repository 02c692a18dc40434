/** Traps: programs that a repository or its settings name for git to run. Each leaves a mark when it is run. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach } from 'node:test';
import { commit, git, makeClone, pushFromElsewhere, write } from '../support/git-repositories.ts';
import { sandbox } from './setup.ts';

beforeEach(() => {
  mkdirSync(join(sandbox.folder, 'marks'));
});

/** A program that only leaves a mark when it is run. As a filter it also copies its input. */
export function trap(name: string): string {
  const path = join(sandbox.folder, `trap-${name}`);
  const mark = join(sandbox.folder, 'marks', name);
  writeFileSync(path, `#!/bin/sh\n: > '${mark}'\ncase '${name}' in filter-*) cat;; esac\n`, { mode: 0o755 });
  return path;
}

export const trapsRun = () => readdirSync(join(sandbox.folder, 'marks')).sort();

const hooks = [
  ...['applypatch-msg', 'pre-applypatch', 'post-applypatch', 'pre-commit', 'pre-merge-commit', 'prepare-commit-msg'],
  ...['commit-msg', 'post-commit', 'pre-rebase', 'post-checkout', 'post-merge', 'pre-push', 'pre-receive', 'update'],
  ...['proc-receive', 'post-receive', 'post-update', 'reference-transaction', 'push-to-checkout', 'pre-auto-gc'],
  ...['post-rewrite', 'sendemail-validate', 'fsmonitor-watchman', 'post-index-change'],
];

export function plantHooks(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const hook of hooks) {
    writeFileSync(join(folder, hook), `#!/bin/sh\nexec '${trap(`hook-${hook}`)}' "$@"\n`, { mode: 0o755 });
  }
}

/** Every setting that makes git run a program. */
export function plantSettings(folder: string): void {
  const planted: [string, string][] = [
    ['core.fsmonitor', trap('fsmonitor')],
    ['core.sshCommand', trap('ssh')],
    ['core.askPass', trap('askpass')],
    ['core.pager', trap('pager')],
    ['core.editor', trap('editor')],
    ['core.gitProxy', trap('git-proxy')],
    ['core.alternateRefsCommand', trap('alternate-refs')],
    ['sequence.editor', trap('sequence-editor')],
    ['credential.helper', trap('credential')],
    ['credential.https://example.invalid.helper', `!${trap('credential-url')}`],
    ['diff.external', trap('external-diff')],
    ['diff.trap.command', trap('diff-command')],
    ['diff.trap.textconv', trap('textconv')],
    ['merge.trap.driver', trap('merge-driver')],
    ['filter.trap.clean', trap('filter-clean')],
    ['filter.trap.smudge', trap('filter-smudge')],
    ['filter.trap.process', trap('process')],
    ['filter.lfs.smudge', trap('filter-lfs')],
    ['gpg.program', trap('gpg')],
    ['gpg.ssh.program', trap('gpg-ssh')],
    ['commit.gpgSign', 'true'],
    ['push.gpgSign', 'true'],
    ['merge.verifySignatures', 'true'],
    ['remote.origin.uploadpack', trap('upload-pack')],
    ['remote.origin.receivepack', trap('receive-pack')],
    ['remote.origin.prune', 'true'],
    ['submodule.lib.update', `!${trap('submodule-update')}`],
    ['submodule.recurse', 'true'],
    ['fetch.recurseSubmodules', 'true'],
    ['uploadpack.packObjectsHook', trap('pack-objects')],
    ['protocol.ext.allow', 'always'],
    ['protocol.allow', 'always'],
    ['alias.fetch', `!${trap('alias-fetch')}`],
    ['alias.rebase', `!${trap('alias-rebase')}`],
    ['rebase.autoStash', 'true'],
    ['gc.auto', '1'],
    ['core.worktree', join(sandbox.folder, 'elsewhere')],
    ['core.hooksPath', join(sandbox.folder, 'hooks')],
  ];
  for (const [name, value] of planted) git(folder, 'config', name, value);
  plantHooks(join(sandbox.folder, 'hooks'));
  mkdirSync(join(sandbox.folder, 'elsewhere'), { recursive: true });
  const included = join(sandbox.folder, 'included');
  writeFileSync(
    included,
    `[core]\n\tsshCommand = ${trap('included-ssh')}\n\tfsmonitor = ${trap('included-fsmonitor')}\n`,
  );
  git(folder, 'config', 'include.path', included);
}

export const attributes = '*.txt filter=trap diff=trap merge=trap\n*.bin filter=lfs\n';

/** A clone whose repository is full of traps, with commits to fetch, check out, rebase and merge. */
export function makeTrapped(): { clone: string; remote: string } {
  const { clone, remote } = makeClone(sandbox, { 'a.txt': 'one\ntwo\nthree\n', '.gitattributes': attributes });
  commit(clone, { 'local.txt': 'local\n', 'a.txt': 'one\ntwo\nlocal\n' });
  pushFromElsewhere(sandbox, remote, { 'a.txt': 'theirs\ntwo\nthree\n', 'b.txt': 'b\n', 'c.bin': 'c\n' });
  plantHooks(join(clone, '.git/hooks'));
  plantHooks(join(remote, 'hooks'));
  git(remote, 'config', 'core.alternateRefsCommand', trap('remote-alternate-refs'));
  git(remote, 'config', 'uploadpack.packObjectsHook', trap('remote-pack-objects'));
  write(clone, { '.git/info/attributes': attributes });
  plantSettings(clone);
  return { clone, remote };
}
