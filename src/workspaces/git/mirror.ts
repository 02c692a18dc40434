/**
 * Makes the mirror of the workspace's repository: a git folder that belongs to the server. The mirror has the
 * repository's objects, but no hooks and only settings that the server wrote. Git commands use the mirror, so the
 * repository's own settings and hooks have no effect.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../processes/child-process.ts';
import { type Git, GitError, mustGit } from './git.ts';
import type { GitPlace } from './git-environment.ts';
import { type GitSetting, type GitSettings, localRemotes, settingOf, settingsFile } from './git-settings.ts';
import { type Repository, readSmallFile } from './repository.ts';

/**
 * `shared`: the mirror links to the repository's refs and objects, so commands change the repository.
 * `borrowed`: the mirror only reads the repository's objects. It has separate refs, and new objects are written to it.
 */
type MirrorKind = 'shared' | 'borrowed';

export type Mirror = {
  /** The place for git commands that do not use a working tree. */
  place: GitPlace & { hostSettings: string };
  /** The object folder, through which git finds all objects. */
  objects: string;
};

/** The parts of the repository that a `shared` mirror links to. */
const sharedParts = ['objects', 'refs', 'packed-refs', 'logs', 'shallow', 'worktrees', 'info'];

/**
 * Makes the mirror, or updates its settings. Throws a `GitError` if the repository stores its refs in an unsupported
 * format.
 */
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
  // Both files may hold access tokens, so `replaceFile` lets only the server's user read them.
  await replaceFile(hostSettings, settingsFile(settings.host));
  await replaceFile(
    join(gitDir, 'config'),
    settingsFile([...format(settings.repository, kind), ...harmlessRemotes(settings)]),
  );
  await (kind === 'shared' ? linkParts(gitDir, repository) : borrow(gitDir, repository));
  return { place: { gitDir, hostSettings }, objects: join(gitDir, 'objects') };
}

/** Packs the objects that many small fetches have added, if there are more than 2000 of these objects. */
export async function packMirror(git: Git, { place }: Mirror): Promise<void> {
  const settings = ['gc.auto=2000', 'gc.autoDetach=false'];
  await mustGit(git(place, ['gc', '--auto', '--quiet'], { timeoutMs: 600_000, settings }));
}

/** Makes a mirror that has no objects, for folders without a repository. */
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
    // A `shared` mirror is not bare, because every command that uses it names a working tree.
    // A log of the refs tells which commits the upstream had earlier.
    ...(kind === 'borrowed'
      ? [
          { name: 'core.bare', value: 'true' },
          { name: 'core.logallrefupdates', value: 'true' },
        ]
      : []),
  ];
}

/**
 * Returns settings that turn off the hooks and commands of remote repositories on this machine. For such a remote, git
 * starts a second git process, which obeys the remote repository's settings and hooks. Another user may have written
 * them.
 */
function harmlessRemotes(settings: GitSettings): GitSetting[] {
  const value = (command: string) => `GIT_ALLOW_PROTOCOL=none ${withoutHooks} ${command}`;
  return [
    ...localRemotes(settings, 'fetch').map((remote) => ({ name: `${remote}.uploadpack`, value: value('upload-pack') })),
    ...localRemotes(settings, 'push').map((remote) => ({
      name: `${remote}.receivepack`,
      value: value('receive-pack'),
    })),
  ];
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
  const text = await readSmallFile(from);
  await (text === undefined ? rm(to, { force: true }) : replaceFile(to, text));
}

/** Replaces a file in one step, because another git command may be reading the file. */
export async function replaceFile(path: string, text: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => undefined)) === text) return;
  const next = `${path}.${randomUUID()}.new`;
  try {
    await writeFile(next, text, { mode: 0o600 });
    await rename(next, path);
  } catch (error) {
    await rm(next, { force: true });
    throw error;
  }
}

/**
 * Removes files that a killed server, or its git, left in the mirrors: locks, which would make every later command
 * fail, and unfinished files. Does not follow the links to the repository of the user.
 */
export async function removeUnfinished(dataDir: string): Promise<void> {
  const folder = join(dataDir, 'repositories');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const names = ['*.lock', '*.new', 'tmp_*', '.tmp-*'].flatMap((name) => ['-o', '-name', name]).slice(1);
  const args = ['.', '-type', 'f', '(', ...names, ')', '-delete'];
  await runCommand('find', args, { cwd: folder, env: { PATH: '/usr/bin:/bin' }, timeoutMs: 60_000 });
}
