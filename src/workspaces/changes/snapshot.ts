/** Writes the files of a folder, except ignored files, as a git tree. Does not change the baseline. */
import { randomUUID } from 'node:crypto';
import { lstat, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { BytePath } from '../git/byte-path.ts';
import { type Git, GitError, mustGit } from '../git/git.ts';
import { findAttributed, findPointed, isPointer, keepBytes } from './attributes.ts';
import { type Baseline, copyIndex } from './baseline.ts';
import { type IndexPlace, list, listChanged, listIgnored, listLimits, listUntracked } from './listings.ts';
import { type Omitted, omission } from './omissions.ts';
import { removeFromIndex, storeFiles } from './store-files.ts';
import { findChangedSubmodules, listGitlinks, readAgentIndex } from './submodules.ts';
import { type Survey, survey } from './survey.ts';
import { nameUnlisted } from './unlisted.ts';

export type Snapshot = {
  /** The id of the git tree. */
  tree: string;
  /** What the folder contains and the tree does not. */
  omitted: Omitted[];
  /**
   * The changed files that git stores through a filter, such as Git LFS. The tree holds their bytes, because the server
   * runs no filter.
   */
  filtered: BytePath[];
  /** The top folders of the repositories inside the folder. */
  nested: BytePath[];
};

type Snapshotted = Pick<Baseline, 'place' | 'owned'> & {
  /** The nested repositories whose files are not read. */
  nestedBefore?: BytePath[] | 'all';
};

/** Takes a snapshot of the folder. Throws a `GitError`. */
export async function snapshot(git: Git, { place: original, ...rest }: Snapshotted): Promise<Snapshot> {
  if (!(await isFolder(original.workTree))) throw new GitError('the folder of the run is gone');
  const surveyed = await survey(original.workTree, rest.owned);
  const place = { ...original, indexFile: `${original.indexFile}.${randomUUID()}` };
  try {
    await copyIndex(original.indexFile, place.indexFile);
    return await takeSnapshot(git, { ...rest, place }, surveyed);
  } finally {
    await removeIndex(place.indexFile);
  }
}

async function takeSnapshot(
  git: Git,
  { place, owned, nestedBefore = [] }: Snapshotted,
  surveyed: Survey,
): Promise<Snapshot> {
  // This does not use `git add`, because in a nested repository it runs `git status`, which obeys that repository's
  // settings.
  const { gone, changed } = await listChanged(git, place);
  // A file that became a repository hides the repository, until the index no longer has the file.
  await removeFromIndex(git, place, gone);
  const agent = owned ? await readAgentIndex(git, place) : { submodules: new Set<BytePath>(), forced: [] };
  const isRead = (nested: BytePath) =>
    !agent.submodules.has(nested) && nestedBefore !== 'all' && !nestedBefore.includes(nested);
  const [untracked, ignored] = await Promise.all([listUntracked(git, place, isRead), listIgnored(git, place)]);
  const submodules = untracked.nested.filter((path) => agent.submodules.has(path));
  const others = [...untracked.files, ...submodules, ...agent.forced];
  const paths = [...changed.map(({ path }) => path), ...others];
  const { converted, filtered } = await findAttributed(git, place, paths);
  const isFiltered = new Set(filtered);
  const pointed = await findPointed(
    git,
    place,
    changed.filter(({ path }) => isFiltered.has(path)),
  );
  const refused = await storeFiles(
    git,
    place,
    paths.filter((path) => !pointed.has(path)),
  );
  const failed = new Set(refused.map(({ path }) => path));
  const isStored = (path: BytePath) => !pointed.has(path) && !failed.has(path);
  const altered = await keepBytes(git, place, converted.filter(isStored));
  const gitlinks = await listGitlinks(git, place);
  const inSubmodules = await findChangedSubmodules(git, place, gitlinks);
  const tree = await mustGit(git(place, ['write-tree', '--missing-ok'], listLimits));
  const forced = new Set(agent.forced);
  const left = { surveyed, untracked, gitlinks, ignored: ignored.filter((path) => !forced.has(path)) };
  return {
    tree,
    omitted: [
      ...refused,
      ...altered,
      ...inSubmodules.map((path) => omission(path, 'submodule')),
      ...nameUnlisted(left, failed),
    ],
    filtered: await withoutPointers(place, filtered.filter(isStored)),
    nested: untracked.nested,
  };
}

async function withoutPointers(place: IndexPlace, paths: BytePath[]): Promise<BytePath[]> {
  const found: BytePath[] = [];
  for (const path of paths) if (!(await isPointer(place, path))) found.push(path);
  return found;
}

/** Returns whether no file, not even an ignored one, was added, removed or changed since the baseline. */
export async function isUntouched(git: Git, { place }: Baseline): Promise<boolean> {
  const { gone, changed } = await listChanged(git, place);
  const others = await list(git, place, ['ls-files', '--others', '--directory']);
  return gone.length + changed.length + others.length === 0;
}

/** Returns `false` even for a link to a folder, because an agent may have replaced its folder with a link. */
export async function isFolder(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isDirectory() ?? false;
}

/** Removes a temporary index, and the files of commands that were stopped. */
async function removeIndex(indexFile: string): Promise<void> {
  const folder = dirname(indexFile);
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((each) => each.startsWith(basename(indexFile)))) {
    await rm(join(folder, name), { recursive: true, force: true });
  }
}
