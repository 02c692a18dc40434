/** Real git repositories in a scratch folder: a bare remote, clones of it, and git commands in them. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** Leaves out the user's git settings, so that tests have the same result everywhere. */
export const gitEnvironment: Record<string, string> = {
  PATH: process.env['PATH'] ?? '/usr/bin:/bin',
  HOME: '/nonexistent',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.org',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.org',
};

/** Runs git as a user does. Returns its output, trimmed. Throws when it fails. */
export function git(folder: string, ...args: string[]): string {
  const options = { cwd: folder, env: gitEnvironment, encoding: 'utf8', stdio: 'pipe' } as const;
  return execFileSync('git', ['-c', 'protocol.file.allow=always', ...args], options).trim();
}

export type Sandbox = {
  folder: string;
  /** `dataDir` of the server under test. */
  dataDir: string;
  remove(): void;
};

export function makeSandbox(): Sandbox {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'workspace-test-')));
  const dataDir = join(folder, 'data');
  mkdirSync(dataDir);
  return { folder, dataDir, remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }) };
}

/** Makes a bare repository `remote.git` with one commit on `main`, and a clone of it: the user's repository. */
export function makeClone(sandbox: Sandbox, files: Record<string, string> = { 'a.txt': 'one\n' }) {
  const remote = join(sandbox.folder, 'remote.git');
  git(sandbox.folder, 'init', '--quiet', '--bare', '--initial-branch=main', remote);
  const clone = join(sandbox.folder, 'clone');
  git(sandbox.folder, 'clone', '--quiet', remote, clone);
  git(clone, 'checkout', '--quiet', '-B', 'main');
  commit(clone, files, 'first');
  git(clone, 'push', '--quiet', '-u', 'origin', 'main');
  return { remote, clone };
}

/** Adds a submodule to the clone and commits it, without a push. Returns the repository of the submodule. */
export function addSubmodule(sandbox: Sandbox, clone: string, at = 'lib'): string {
  const library = join(sandbox.folder, 'library');
  git(sandbox.folder, 'init', '--quiet', '--initial-branch=main', library);
  commit(library, { 'lib.txt': 'lib\n' });
  git(clone, 'submodule', '--quiet', 'add', library, at);
  git(clone, 'commit', '--quiet', '--message', 'with a submodule');
  return library;
}

/** Writes the files and commits everything. Returns the commit. */
export function commit(folder: string, files: Record<string, string>, message = 'change'): string {
  write(folder, files);
  git(folder, 'add', '--all');
  git(folder, 'commit', '--quiet', '--message', message);
  return git(folder, 'rev-parse', 'HEAD');
}

export function write(folder: string, files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

/** Pushes a commit to the remote from another clone. Returns the commit. */
export function pushFromElsewhere(sandbox: Sandbox, remote: string, files: Record<string, string>): string {
  const folder = mkdtempSync(join(sandbox.folder, 'colleague-'));
  git(folder, 'clone', '--quiet', remote, folder);
  const revision = commit(folder, files, 'from a colleague');
  git(folder, 'push', '--quiet', 'origin', 'HEAD');
  return revision;
}
