/** Writes the files of a folder, except ignored files, as a git tree. Does not change the baseline. */
import { randomUUID } from 'node:crypto';
import { lstat, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type BytePath, pathBelow } from '../git/byte-path.ts';
import { type Git, GitError, mustGit } from '../git/git.ts';
import { findAttributed, findPointed, hasAttributes, isPointer, keepBytes } from './attributes.ts';
import { type Baseline, copyIndex } from './baseline.ts';
import { insideOf, keepInside } from './inside.ts';
import {
  type IndexPlace,
  listGitlinks,
  listLimits,
  listTracked,
  readStatus,
  type Status,
  sortUntracked,
} from './listings.ts';
import { type Omitted, omission } from './omissions.ts';
import { addEntries, removeFromIndex, storeFiles } from './store-files.ts';
import { storeCommits } from './submodule-commits.ts';
import { findChangedSubmodules, readAgentIndex } from './submodules.ts';
import { type Survey, survey } from './survey.ts';
import { nameUnlisted } from './unlisted.ts';
import { filesAmong, readUsable, storeUnusable, type UsableStatus } from './unusable-attributes.ts';

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

type Snapshotted = Pick<Baseline, 'place' | 'owned' | 'convertsAll'> & {
  /** The nested repositories whose files are not read. */
  nestedBefore?: BytePath[] | 'all';
};

/** Takes a snapshot of the folder. Throws a `GitError`. */
export async function snapshot(git: Git, { place: original, ...rest }: Snapshotted): Promise<Snapshot> {
  if (!(await isFolder(original.workTree))) throw new GitError('the folder of the run is gone');
  const surveyed = await survey(original.workTree, original.indexFile, rest.owned);
  const place = { ...original, indexFile: `${original.indexFile}.${randomUUID()}` };
  try {
    await copyIndex(original.indexFile, place.indexFile);
    return await takeSnapshot(git, { ...rest, place }, original.indexFile, surveyed);
  } finally {
    await removeIndex(place.indexFile);
  }
}

/** @param original the index of the baseline, of which the place has a copy */
async function takeSnapshot(git: Git, from: Snapshotted, original: string, surveyed: Survey): Promise<Snapshot> {
  const { place, owned, nestedBefore = [] } = from;
  const { status, hidden } = await readAll(git, place);
  const agent = owned ? await readAgentIndex(git, place, status) : { submodules: new Set<BytePath>(), forced: [] };
  const isRead = (nested: BytePath) =>
    nestedBefore !== 'all' && !agent.submodules.has(nested) && !nestedBefore.includes(nested);
  const untracked = await sortUntracked(git, place, status.untracked, isRead);
  const submodules = untracked.nested.filter((path) => agent.submodules.has(path));
  const links = new Set(status.gitlinks.map(({ path }) => path));
  const changedLinks = status.changed.map(({ path }) => path).filter((path) => links.has(path));
  const moved = owned ? [...(await keepFolders(place, changedLinks)), ...submodules] : [];
  await storeCommits(git, place, moved);
  const isMoved = new Set(moved);
  const others = [...untracked.files, ...agent.forced];
  const paths = [...status.changed.map(({ path }) => path), ...others].filter((path) => !isMoved.has(path));
  const mayConvert = from.convertsAll || status.hasAttributes;
  const written = mayConvert && surveyed.written.length > 0 ? await listTracked(git, place, surveyed.written) : [];
  const examined = [...new Set([...paths, ...written])];
  const { converted, encoded, filtered, unusable } = await findAttributed(git, from, examined);
  const added = await filesAmong(place, unusable);
  const asTheyAre = new Set([...added, ...hidden.map(({ path }) => path)]);
  const isFiltered = new Set(filtered);
  const pointed = await findPointed(
    git,
    place,
    status.changed.filter(({ path }) => isFiltered.has(path)),
  );
  // The pointer stays, but the run may have made the file executable.
  await addEntries(
    git,
    place,
    status.changed.filter(({ path }) => pointed.has(path)),
  );
  const unconverted = await storeUnusable(git, place, {
    added,
    hidden,
    written: new Set(surveyed.written),
  });
  const refused = await storeFiles(
    git,
    place,
    paths.filter((path) => !pointed.has(path) && !asTheyAre.has(path)),
    encoded,
  );
  const failed = new Set(refused.map(({ path }) => path));
  const isStored = (path: BytePath) => !pointed.has(path) && !failed.has(path) && !asTheyAre.has(path);
  const newAttributes = [...paths, ...status.gone, ...status.ignored].some(hasAttributes);
  const altered = await keepBytes(
    git,
    place,
    (newAttributes ? examined : converted).filter(isStored),
    newAttributes ? original : undefined,
  );
  const hasMoved = submodules.length + changedLinks.length > 0;
  const gitlinks = hasMoved ? await listGitlinks(git, place) : status.gitlinks;
  const inSubmodules = await findChangedSubmodules(git, place, gitlinks);
  const tree = await mustGit(git(place, ['write-tree', '--missing-ok'], listLimits));
  const forced = new Set(agent.forced);
  const left = {
    surveyed,
    untracked,
    gitlinks,
    ignored: [...status.ignored, ...untracked.ignored].filter((path) => !forced.has(path)),
  };
  return {
    tree,
    omitted: [
      ...refused,
      ...unconverted,
      ...altered,
      ...inSubmodules.map((path) => omission(path, 'submodule')),
      ...nameUnlisted(left, failed),
    ],
    filtered: await withoutPointers(place, filtered.filter(isStored)),
    nested: untracked.nested,
  };
}

/** Reads how the working tree differs from the index, and removes from the index what is gone. */
async function readAll(git: Git, place: IndexPlace): Promise<UsableStatus> {
  const usable = await readUsable(git, place);
  const status = await insideOnly(place, usable.status);
  const { hidden } = usable;
  await removeFromIndex(git, place, status.gone);
  for (const path of await keepInside(place.workTree, status.gone)) {
    const stats = await lstat(pathBelow(place.workTree, path)).catch(() => undefined);
    if (!stats?.isDirectory()) continue;
    // In a folder that has the name of a tracked file, git does not list everything until the index has no such file.
    const { untracked, ignored } = await readStatus(git, place);
    return { status: { ...status, untracked, ignored }, hidden };
  }
  return { status, hidden };
}

/**
 * Takes files of the index that are not inside the working tree for gone. An agent of an earlier run may have written
 * the index of a shared workspace.
 */
async function insideOnly({ workTree }: IndexPlace, status: Status): Promise<Status> {
  const isInside = insideOf(workTree);
  const changed: Status['changed'] = [];
  const gitlinks: Status['gitlinks'] = [];
  const gone = [...status.gone];
  for (const entry of status.changed) {
    if (await isInside(entry.path)) changed.push(entry);
    else gone.push(entry.path);
  }
  for (const entry of status.gitlinks) if (await isInside(entry.path)) gitlinks.push(entry);
  return { ...status, changed, gone, gitlinks };
}

async function keepFolders(place: IndexPlace, paths: BytePath[]): Promise<BytePath[]> {
  const found: BytePath[] = [];
  for (const path of paths) {
    if ((await lstat(pathBelow(place.workTree, path)).catch(() => undefined))?.isDirectory()) found.push(path);
  }
  return found;
}

async function withoutPointers(place: IndexPlace, paths: BytePath[]): Promise<BytePath[]> {
  const found: BytePath[] = [];
  for (const path of paths) if (!(await isPointer(place, path))) found.push(path);
  return found;
}

/** Returns whether no file, not even an ignored one, was added, removed or changed since the baseline. */
export async function isUntouched(git: Git, { place }: Baseline): Promise<boolean> {
  const { gone, changed, untracked, ignored } = await readStatus(git, place);
  return gone.length + changed.length + untracked.length + ignored.length === 0;
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
