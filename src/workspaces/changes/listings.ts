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
export type ChangedEntry = { path: BytePath; oid: string };

/** Lists the tracked files that are gone or changed. A file that has become a folder is gone. */
export async function listChanged(git: Git, place: IndexPlace): Promise<{ gone: BytePath[]; changed: ChangedEntry[] }> {
  const fields = await list(git, place, ['diff-files', '--raw', '--no-renames', '--ignore-submodules=dirty']);
  const gone = new Set<BytePath>();
  const changed = new Map<BytePath, ChangedEntry>();
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [before = '', after = '', oid = '', , status = ''] = (fields[at] ?? '').slice(1).split(' ');
    const path = fields[at + 1] ?? '';
    const becameRepository = after === gitlinkMode && before !== gitlinkMode;
    // A file with a merge conflict is listed as `U`, and again as changed if it exists.
    if (status === 'U' ? !(await exists(place, path)) : status === 'D' || becameRepository) gone.add(path);
    else changed.set(path, { path, oid });
  }
  return { gone: [...gone], changed: [...changed.values()] };
}

export const gitlinkMode = '160000';

/** At most this many nested repositories are read. */
const maxNested = 1000;

/**
 * `nested` are the top folders of nested repositories, without a slash at the end. The files of those in `read` are
 * among `files`; those in `unread` were not to be read, and for those in `tooMany` there was no room.
 */
export type Untracked = Record<'files' | 'nested' | 'read' | 'unread' | 'tooMany', BytePath[]>;

/**
 * Lists the untracked files that are not ignored. Git lists a nested repository as one path that ends with a slash;
 * its files are listed only if `isRead` returns true for it.
 */
export async function listUntracked(
  git: Git,
  place: IndexPlace,
  isRead: (nested: BytePath) => boolean,
): Promise<Untracked> {
  const found: Untracked = { files: [], nested: [], read: [], unread: [], tooMany: [] };
  const add = async (folder: BytePath): Promise<void> => {
    const listed = await inNested(git, place, folder, ['ls-files', '--others', '--exclude-standard']);
    for (const path of listed.map((name) => folder + name)) {
      if (!path.endsWith('/')) {
        found.files.push(path);
        continue;
      }
      const nested = path.slice(0, -1);
      found.nested.push(nested);
      const where = !isRead(nested) ? 'unread' : found.read.length === maxNested ? 'tooMany' : 'read';
      found[where].push(nested);
      if (where === 'read') await add(path);
    }
  };
  await add('');
  return found;
}

/** Lists the ignored files. A folder that contains only ignored files is one path that ends with a slash. */
export function listIgnored(git: Git, place: IndexPlace): Promise<BytePath[]> {
  return list(git, place, ['ls-files', '--others', '--ignored', '--exclude-standard', '--directory']);
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

/** Runs a command that lists files in a folder below the working tree, with an empty index. */
async function inNested(git: Git, place: IndexPlace, folder: BytePath, command: string[]): Promise<BytePath[]> {
  if (folder === '') return list(git, place, command);
  return inFolder(place, folder, (workTree) =>
    list(git, { ...place, workTree, indexFile: `${place.indexFile}.none` }, command),
  );
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
