/**
 * A git folder of the server's own that stands in for the workspace's repository: settings that the server wrote,
 * no hooks, and the repository's objects. The settings and hooks of the repository itself are thereby out of reach.
 */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GitPlace } from './git.ts';
import { type GitSetting, type GitSettings, settingsFile } from './git-settings.ts';
import type { Repository } from './repository.ts';

/**
 * `shared`: refs and objects are the repository's own; what is fetched and moved is fetched and moved there.
 * `borrowed`: only its objects are used, read-only; refs and new objects stay in the stand-in.
 */
export type StandInKind = 'shared' | 'borrowed';

export type StandIn = {
  /** Of the stand-in, for commands that touch no working tree. */
  place: GitPlace & { hostSettings: string };
  /** Where all objects are found from. */
  objects: string[];
};

/** Parts of a repository that a `shared` stand-in uses in place. */
const sharedParts = ['objects', 'refs', 'packed-refs', 'logs', 'shallow', 'worktrees', 'info'];

/** Makes the stand-in, or brings its settings up to date. */
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
  await writeFile(hostSettings, settingsFile(settings.host), { mode: 0o600 });
  await writeFile(join(gitDir, 'config'), settingsFile([...format(settings.repository, kind)]), { mode: 0o600 });
  await (kind === 'shared' ? linkParts(gitDir, repository) : borrow(gitDir, repository));
  return { place: { gitDir, hostSettings }, objects: [join(gitDir, 'objects'), join(repository.commonDir, 'objects')] };
}

function format(settings: GitSetting[], kind: StandInKind): GitSetting[] {
  const extended = settings.some(({ name }) => name.startsWith('extensions.'));
  return [
    { name: 'core.repositoryformatversion', value: extended ? '1' : '0' },
    ...settings.filter(({ name }) => name !== 'core.bare'),
    // In place, a command names the working tree.
    ...(kind === 'borrowed' ? [{ name: 'core.bare', value: 'true' }] : []),
  ];
}

async function linkParts(gitDir: string, repository: Repository): Promise<void> {
  await writeFile(join(gitDir, 'HEAD'), 'ref: refs/heads/none\n');
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
  await writeFile(join(gitDir, 'HEAD'), 'ref: refs/heads/none\n');
  await writeFile(join(gitDir, 'objects/info/alternates'), `${join(repository.commonDir, 'objects')}\n`);
  await copyOrRemove(join(repository.commonDir, 'shallow'), join(gitDir, 'shallow'));
  await copyOrRemove(join(repository.gitDir, 'info/sparse-checkout'), join(gitDir, 'info/sparse-checkout'));
}

async function copyOrRemove(from: string, to: string): Promise<void> {
  await copyFile(from, to).catch(() => rm(to, { force: true }));
}
