/** Lists the files of a working tree that differ from an index, as git finds them. */
import { lstat, rm, symlink } from 'node:fs/promises';
import { type BytePath, partsOf, pathBelow } from '../git/byte-path.ts';
import { type Git, GitError, type GitOptions, mustGit } from '../git/git.ts';
import type { Baseline } from './baseline.ts';

export type IndexPlace = Baseline['place'];

/** For commands whose output grows with the number of files. */
export const listLimits: GitOptions = {
  timeoutMs: 120_000,
  maxOutputBytes: 256 * 1024 * 1024,
  settings: ['core.safecrlf=false'],
};

/** `oid` is the blob that the index has for the file. */
export type IndexEntry = { path: BytePath; oid: string };

/** How a working tree differs from an index. */
export type Status = {
  /** The tracked files that are gone. A file that has become a folder is gone. */
  gone: BytePath[];
  /** Each with the mode of the file, and the blob that the index has for it. */
  changed: (IndexEntry & { mode: string })[];
  /** The untracked files that are not ignored, and the top folders of nested repositories, which end with a slash. */
  untracked: BytePath[];
  /** The ignored files. An ignored folder is one path that ends with a slash. */
  ignored: BytePath[];
  /** The submodules in the index. */
  gitlinks: IndexEntry[];
  /** Whether there are files `.gitattributes`. */
  hasAttributes: boolean;
};

/**
 * Compares the working tree with the index. One command does all of it, because starting a process costs more than its
 * work in most repositories. `git status` runs nothing in nested repositories with these options.
 */
export async function readStatus(git: Git, place: IndexPlace): Promise<Status> {
  const untracked = ['--untracked-files=all', '--ignored=matching'];
  const args = ['status', '--porcelain=v2', ...untracked, '--no-renames', '--ignore-submodules=dirty'];
  const status: Status = { gone: [], changed: [], untracked: [], ignored: [], gitlinks: [], hasAttributes: false };
  for (const entry of await list(git, place, args)) {
    const [kind] = entry;
    if (kind === '?') status.untracked.push(entry.slice(2));
    else if (kind === '!') status.ignored.push(entry.slice(2));
    else if (kind === 'u') await addConflict(place, entry, status);
    else addTracked(entry, status);
    status.hasAttributes ||= entry.endsWith('.gitattributes');
  }
  return status;
}

/** The fields are `1 XY submodule HEAD-mode index-mode mode HEAD-oid index-oid path`. */
function addTracked(entry: string, status: Status): void {
  const fields = entry.split(' ');
  const [, change = '', , , indexMode = '', mode = '', , oid = ''] = fields;
  const path = fields.slice(8).join(' ');
  if (indexMode === gitlinkMode) status.gitlinks.push({ path, oid });
  const isGone = change[1] === 'D' || (mode === gitlinkMode && indexMode !== gitlinkMode);
  if (isGone) status.gone.push(path);
  else if (change[1] !== '.') status.changed.push({ mode, oid, path });
}

/** A file with a merge conflict is taken as it is. The fields before the path are ten. */
async function addConflict(place: IndexPlace, entry: string, status: Status): Promise<void> {
  const fields = entry.split(' ');
  const path = fields.slice(10).join(' ');
  if (await exists(place, path)) status.changed.push({ mode: fields[6] ?? '', oid: fields[7] ?? '', path });
  else status.gone.push(path);
}

const gitlinkMode = '160000';

/** At most this many nested repositories are read. */
const maxNested = 1000;

/**
 * `nested` are the top folders of nested repositories, without a slash at the end. The files of those in `read` are
 * among `files`; those in `unread` were not to be read, and for those in `tooMany` there was no room. `ignored` are ignored files in
 * nested repositories.
 */
export type Untracked = Record<'files' | 'nested' | 'ignored' | 'read' | 'unread' | 'tooMany', BytePath[]>;

/**
 * Sorts the untracked files, and lists the files of the nested repositories among them.
 * @param isRead whether the files of a nested repository are listed
 */
export async function sortUntracked(
  git: Git,
  place: IndexPlace,
  untracked: BytePath[],
  isRead: (nested: BytePath) => boolean,
): Promise<Untracked> {
  const found: Untracked = { files: [], nested: [], ignored: [], read: [], unread: [], tooMany: [] };
  const add = async (paths: BytePath[]): Promise<void> => {
    for (const path of paths) {
      if (!path.endsWith('/')) {
        found.files.push(path);
        continue;
      }
      const nested = path.slice(0, -1);
      found.nested.push(nested);
      const where = !isRead(nested) ? 'unread' : found.read.length === maxNested ? 'tooMany' : 'read';
      found[where].push(nested);
      if (where !== 'read') continue;
      const inside = await readNested(git, place, nested);
      found.ignored.push(...inside.ignored.map((name) => path + name));
      await add(inside.untracked.map((name) => path + name));
    }
  };
  await add(untracked);
  return found;
}

/** Lists the files in a nested repository. Its own index does not count. */
function readNested(git: Git, place: IndexPlace, folder: BytePath): Promise<Status> {
  return inFolder(place, folder, (workTree) =>
    readStatus(git, { ...place, workTree, indexFile: `${place.indexFile}.none` }),
  );
}

/** Returns those of the paths that the index has. */
export async function listTracked(git: Git, place: IndexPlace, paths: BytePath[]): Promise<BytePath[]> {
  const tracked = new Set(await list(git, place, ['ls-files', '--cached']));
  return paths.filter((path) => tracked.has(path));
}

/** Lists the submodules in an index. */
export async function listGitlinks(git: Git, place: IndexPlace): Promise<IndexEntry[]> {
  const entries = await list(git, place, ['ls-files', '--stage']);
  return entries
    .filter((entry) => entry.startsWith(gitlinkMode))
    .map((entry) => ({ path: entry.slice(entry.indexOf('\t') + 1), oid: entry.split(' ')[1] ?? '' }));
}

/** Lists the files that exist although the index says that git must not look at them. */
export async function listFlagged(git: Git, place: IndexPlace): Promise<BytePath[]> {
  const entries = await list(git, place, ['ls-files', '-v']);
  const flagged: BytePath[] = [];
  // The letter is in lower case for `--assume-unchanged`, and `S` for `--skip-worktree`.
  for (const entry of entries.filter((each) => /^[a-zS] /.test(each))) {
    const path = entry.slice(2);
    if (await exists(place, path)) flagged.push(path);
  }
  return flagged;
}

/** Returns the fields that a git command prints. */
export async function list(git: Git, place: IndexPlace, [command = '', ...args]: string[]): Promise<string[]> {
  const running = git(place, [command, '-z', ...args], listLimits);
  await mustGit(running);
  return partsOf((await running).stdout);
}

/**
 * Calls `use` with a path of a folder in the working tree. The path is a link whose name is ASCII, because the name of
 * the folder may be no UTF-8, which neither an argument nor a variable of a command can hold here.
 */
export async function inFolder<T>(place: IndexPlace, folder: BytePath, use: (path: string) => Promise<T>): Promise<T> {
  const link = `${place.indexFile}.folder`;
  const target = pathBelow(place.workTree, folder);
  if (!(await lstat(target).catch(() => undefined))?.isDirectory()) throw new GitError('a nested repository is gone');
  await rm(link, { force: true });
  await symlink(target, link);
  try {
    return await use(link);
  } finally {
    await rm(link, { force: true });
  }
}

async function exists(place: IndexPlace, path: BytePath): Promise<boolean> {
  return (await lstat(pathBelow(place.workTree, path)).catch(() => undefined)) !== undefined;
}
