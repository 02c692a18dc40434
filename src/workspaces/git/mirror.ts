/**
 * A git folder of the server's own that stands in for the workspace's repository: settings that the server wrote,
 * no hooks, and the repository's objects. The settings and hooks of the repository itself are thereby out of reach.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { type Git, GitError, type GitPlace, mustGit } from './git.ts';
import { type GitSetting, type GitSettings, isLocalPath, settingOf, settingsFile } from './git-settings.ts';
import type { Repository } from './repository.ts';

/**
 * `shared`: refs and objects are the repository's own; what is fetched and moved is fetched and moved there.
 * `borrowed`: only its objects are used, read-only; refs and new objects stay in the stand-in.
 */
export type StandInKind = 'shared' | 'borrowed';

export type StandIn = {
  /** For commands that touch no working tree. */
  place: GitPlace & { hostSettings: string };
  /** The folder from which all objects are found. */
  objects: string;
};

/** Parts of a repository that a `shared` stand-in uses in place. */
const sharedParts = ['objects', 'refs', 'packed-refs', 'logs', 'shallow', 'worktrees', 'info'];

/** Makes the stand-in, or brings its settings up to date. Throws a `GitError` when the repository is of no known make. */
export async function prepareStandIn(
  repository: Repository,
  settings: GitSettings,
  kind: StandInKind,
  dataDir: string,
): Promise<StandIn> {
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

/** Packs what years of small fetches have left, when it has become much. */
export async function tidyStandIn(git: Git, { place }: StandIn): Promise<void> {
  const settings = ['gc.auto=2000', 'gc.autoDetach=false'];
  await mustGit(git(place, ['gc', '--auto', '--quiet'], { timeoutMs: 600_000, settings }));
}

/** For folders without a repository: nothing in it, nothing borrowed. */
export async function prepareEmptyStandIn(dataDir: string): Promise<StandIn> {
  const gitDir = join(dataDir, 'repositories', 'none');
  for (const part of ['refs', 'objects/info']) await mkdir(join(gitDir, part), { recursive: true, mode: 0o700 });
  const hostSettings = join(gitDir, 'host-settings');
  await replaceFile(hostSettings, '');
  await replaceFile(join(gitDir, 'config'), settingsFile(format([], 'borrowed')));
  await replaceFile(join(gitDir, 'HEAD'), 'ref: refs/heads/none\n');
  return { place: { gitDir, hostSettings }, objects: join(gitDir, 'objects') };
}

function format(settings: GitSetting[], kind: StandInKind): GitSetting[] {
  const refs = settingOf(settings, 'extensions.refstorage') ?? 'files';
  if (kind === 'shared' && refs !== 'files') throw new GitError(`its refs are stored as ${refs}: use worktrees`);
  return [
    { name: 'core.repositoryformatversion', value: '1' },
    ...settings.filter(({ name }) => !/^(core\.bare|extensions\.refstorage)$/.test(name)),
    // In place, a command names the working tree.
    ...(kind === 'borrowed' ? [{ name: 'core.bare', value: 'true' }] : []),
  ];
}

/**
 * A remote on this machine is read and written by a git process of its own, under the settings and hooks of that
 * repository, which may be anybody's: the same is turned off there.
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

/** In one step: another git command may be reading it. */
export async function replaceFile(path: string, text: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => undefined)) === text) return;
  const next = `${path}.${randomUUID()}`;
  await writeFile(next, text, { mode: 0o600 });
  await rename(next, path);
}
