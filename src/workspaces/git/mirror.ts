/**
 * The mirror of the workspace's repository: a git folder of the server's own, with settings that the server wrote, no
 * hooks, and the repository's objects. Git commands use it, so the repository's own settings and hooks have no effect.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { type Git, GitError, mustGit } from './git.ts';
import type { GitPlace } from './git-environment.ts';
import { type GitSetting, type GitSettings, isLocalPath, settingOf, settingsFile } from './git-settings.ts';
import type { Repository } from './repository.ts';

/**
 * `shared`: refs and objects are the repository's own, so commands change the repository.
 * `borrowed`: the repository's objects are only read; refs and new objects are the mirror's own.
 */
type MirrorKind = 'shared' | 'borrowed';

export type Mirror = {
  /** For commands that touch no working tree. */
  place: GitPlace & { hostSettings: string };
  /** The folder from which all objects are found. */
  objects: string;
};

/** The parts of the repository to which a `shared` mirror links. */
const sharedParts = ['objects', 'refs', 'packed-refs', 'logs', 'shallow', 'worktrees', 'info'];

/** Makes the mirror, or updates its settings. Throws a `GitError` when the format of the refs is not supported. */
export async function prepareMirror(
  repository: Repository,
  settings: GitSettings,
  kind: MirrorKind,
  dataDir: string,
): Promise<Mirror> {
  const digest = createHash('sha256').update(repository.gitDir).digest('hex').slice(0, 12);
  const gitDir = join(dataDir, 'repositories', `${digest}-${kind}`);
  await mkdir(gitDir, { recursive: true, mode: 0o700 });
  const hostSettings = join(gitDir, 'host-settings');
  // Both may hold tokens.
  await replaceFile(hostSettings, settingsFile(settings.host));
  await replaceFile(
    join(gitDir, 'config'),
    settingsFile([...format(settings.repository, kind), ...localRemotes(settings)]),
  );
  await (kind === 'shared' ? linkParts(gitDir, repository) : borrow(gitDir, repository));
  return { place: { gitDir, hostSettings }, objects: join(gitDir, 'objects') };
}

/** Packs the objects of many small fetches, when there are more than 2000. */
export async function packMirror(git: Git, { place }: Mirror): Promise<void> {
  const settings = ['gc.auto=2000', 'gc.autoDetach=false'];
  await mustGit(git(place, ['gc', '--auto', '--quiet'], { timeoutMs: 600_000, settings }));
}

/** For folders without a repository: it holds and borrows no objects. */
export async function prepareEmptyMirror(dataDir: string): Promise<Mirror> {
  const gitDir = join(dataDir, 'repositories', 'none');
  for (const part of ['refs', 'objects/info']) await mkdir(join(gitDir, part), { recursive: true, mode: 0o700 });
  const hostSettings = join(gitDir, 'host-settings');
  await replaceFile(hostSettings, '');
  await replaceFile(join(gitDir, 'config'), settingsFile(format([], 'borrowed')));
  await replaceFile(join(gitDir, 'HEAD'), 'ref: refs/heads/none\n');
  return { place: { gitDir, hostSettings }, objects: join(gitDir, 'objects') };
}

function format(settings: GitSetting[], kind: MirrorKind): GitSetting[] {
  const refs = settingOf(settings, 'extensions.refstorage') ?? 'files';
  if (kind === 'shared' && refs !== 'files') {
    throw new GitError(`its refs are stored as ${refs}, which works only with WORKSPACE_MODE=worktree`);
  }
  return [
    { name: 'core.repositoryformatversion', value: '1' },
    ...settings.filter(({ name }) => !/^(core\.bare|extensions\.refstorage)$/.test(name)),
    // With a `shared` mirror, every command names the working tree.
    ...(kind === 'borrowed' ? [{ name: 'core.bare', value: 'true' }] : []),
  ];
}

/**
 * Git reads and writes a remote on this machine by a second git process, which takes the settings and hooks of that
 * repository. They may be another user's, so hooks and commands are turned off for that process too.
 */
function localRemotes({ repository }: GitSettings): GitSetting[] {
  const local = repository.filter(({ name, value }) => /^remote\..+\.(url|pushurl)$/s.test(name) && isLocalPath(value));
  const remotes = new Set(local.map(({ name }) => name.slice(0, name.lastIndexOf('.'))));
  return [...remotes].flatMap((remote) =>
    ['upload-pack', 'receive-pack'].map((command) => ({
      name: `${remote}.${command.replace('-', '')}`,
      value: `GIT_ALLOW_PROTOCOL=none ${withoutHooks} ${command}`,
    })),
  );
}

const withoutHooks = [
  'git',
  `-c core.hooksPath=${devNull}`,
  '-c core.fsmonitor=false',
  '-c core.alternateRefsCommand=:',
  '-c receive.autogc=false',
  '-c receive.denyCurrentBranch=refuse',
  "-c safe.directory='*'",
].join(' ');

async function linkParts(gitDir: string, repository: Repository): Promise<void> {
  await replaceFile(join(gitDir, 'HEAD'), 'ref: refs/heads/none\n');
  for (const part of sharedParts) {
    const target = join(repository.commonDir, part);
    const path = join(gitDir, part);
    if ((await readlink(path).catch(() => undefined)) === target) continue;
    await rm(path, { recursive: true, force: true });
    await symlink(target, path);
  }
}

async function borrow(gitDir: string, repository: Repository): Promise<void> {
  for (const part of ['refs/heads', 'objects/info', 'info']) await mkdir(join(gitDir, part), { recursive: true });
  await replaceFile(join(gitDir, 'HEAD'), 'ref: refs/heads/none\n');
  await replaceFile(join(gitDir, 'objects/info/alternates'), `${join(repository.commonDir, 'objects')}\n`);
  await copyOrRemove(join(repository.commonDir, 'shallow'), join(gitDir, 'shallow'));
  await copyOrRemove(join(repository.commonDir, 'info/exclude'), join(gitDir, 'info/exclude'));
  await copyOrRemove(join(repository.gitDir, 'info/sparse-checkout'), join(gitDir, 'info/sparse-checkout'));
}

async function copyOrRemove(from: string, to: string): Promise<void> {
  const text = await readFile(from, 'utf8').catch(() => undefined);
  await (text === undefined ? rm(to, { force: true }) : replaceFile(to, text));
}

/** Replaces the file in one step: another git command may be reading it. */
export async function replaceFile(path: string, text: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => undefined)) === text) return;
  const next = `${path}.${randomUUID()}`;
  await writeFile(next, text, { mode: 0o600 });
  await rename(next, path);
}
