/**
 * Records the files of a shared workspace before a run, so that earlier uncommitted changes are not part of the run's
 * work.
 */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Baseline, copyIndex, emptyTree, makeBaselinePlace } from '../changes/baseline.ts';
import type { ChangeLimits } from '../changes/changes.ts';
import { createWork, unknownWork, type Work } from '../changes/collect-and-deliver.ts';
import type { DeliveryTarget } from '../changes/deliver.ts';
import { listFlagged } from '../changes/listings.ts';
import { listChanges } from '../changes/patch.ts';
import { type Snapshot, snapshot } from '../changes/snapshot.ts';
import { updateIndex } from '../changes/store-files.ts';
import { GitError, mustGit, quick } from '../git/git.ts';
import { convertsLineEnds } from '../git/git-settings.ts';
import { readSmallFile } from '../git/repository.ts';
import { fetchedCommit, findCurrentBranch } from '../git/upstream.ts';
import { type Checkout, placeOf } from './sync-in-place.ts';

type Settings = { changeLimits: ChangeLimits; gitSyncTimeoutMs: number };

/** Throws a `GitError` if git cannot safely use this part of the workspace's `.git`, which the run may have changed. */
export type CheckGit = (part: 'all' | 'objects') => Promise<void>;

/**
 * Records the current files as the baseline of a run, and returns the run's work.
 * @param folder the folder for the record; the caller removes it
 */
export async function workInPlace(
  checkout: Checkout,
  folder: string,
  settings: Settings,
  checkGit: CheckGit,
): Promise<Work> {
  try {
    const { baseline, wasClean } = await recordFiles(checkout, folder);
    const delivery = wasClean
      ? { target: () => targetOf(checkout, settings, checkGit) }
      : { impossible: 'the workspace had uncommitted changes when the run began' };
    return createWork(checkout.git, baseline, settings.changeLimits, delivery, () => checkGit('objects'));
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return unknownWork(`the files before the run could not be recorded: ${error.message}`);
  }
}

async function recordFiles(checkout: Checkout, folder: string): Promise<{ baseline: Baseline; wasClean: boolean }> {
  const { git } = checkout;
  const place = await placeOfRecord(checkout, folder);
  const [taken, head, committed] = await Promise.all([
    takeFirst(checkout, place),
    git(placeOf(checkout), ['rev-parse', '--verify', '--quiet', 'HEAD'], quick),
    git(placeOf(checkout), ['rev-parse', '--verify', '--quiet', 'HEAD^{tree}'], quick),
  ]);
  const committedTree = committed.ok ? committed.text : await emptyTree(git, place);
  const baseline: Baseline = {
    place,
    tree: taken.tree,
    // Nested repositories in the user's folder belong to the user, and may be large.
    owned: false,
    convertsAll: convertsLineEnds(checkout.settings),
    omittedBefore: taken.omitted,
    nestedBefore: taken.nested,
    ...(head.ok && { revision: head.text }),
    ...(taken.tree !== committedTree && { committedTree }),
  };
  return { baseline, wasClean: await differsOnlyInFiltered(checkout, baseline, taken) };
}

/**
 * Makes a git folder and an index of the server's own for the record, so that the run's work is found even if the agent
 * breaks the git folder of the workspace. Only the objects of the workspace are used.
 */
async function placeOfRecord(checkout: Checkout, folder: string): Promise<Baseline['place']> {
  const { git, repository, mirror } = checkout;
  const gitDir = join(folder, 'git');
  for (const part of ['info', 'refs/heads']) await mkdir(join(gitDir, part), { recursive: true, mode: 0o700 });
  await writeFile(join(gitDir, 'HEAD'), 'ref: refs/heads/none\n');
  const inPlace = { gitDir, workTree: repository.root, hostSettings: mirror.place.hostSettings };
  const place = await makeBaselinePlace(folder, inPlace, join(repository.commonDir, 'objects'));
  const { gitDir: own, commonDir } = repository;
  const copied = [
    { from: mirror.place.gitDir, name: 'config' },
    { from: own, name: 'info/sparse-checkout' },
    ...['shallow', 'info/exclude', 'info/attributes'].map((name) => ({ from: commonDir, name })),
  ];
  for (const { from, name } of copied) {
    const text = await readSmallFile(join(from, name));
    // The settings may hold access tokens.
    if (text !== undefined) await writeFile(join(gitDir, name), text, { mode: 0o600 });
  }
  for (const name of await readdir(own)) {
    // A split index has a second part with such a name.
    if (name.startsWith('sharedindex.')) await copyIndex(join(own, name), join(gitDir, name));
  }
  await copyIndex(join(own, 'index'), place.indexFile);
  await showFlagged(git, place);
  return place;
}

/** Makes git compare files that the user has told it to take for unchanged. */
async function showFlagged(git: Checkout['git'], place: Baseline['place']): Promise<void> {
  const flagged = await listFlagged(git, place).catch(() => []);
  if (flagged.length === 0) return;
  for (const option of ['--no-assume-unchanged', '--no-skip-worktree']) {
    await mustGit(updateIndex(git, place, [option, '--stdin'], flagged));
  }
}

/** Takes a snapshot. If an agent or a crash has broken the index, begins with the files of HEAD. */
async function takeFirst(checkout: Checkout, place: Baseline['place']): Promise<Snapshot> {
  const { git } = checkout;
  // No file of a nested repository is examined.
  const inPlace = {
    place,
    owned: false,
    convertsAll: convertsLineEnds(checkout.settings),
    nestedBefore: 'all',
  } as const;
  try {
    return await snapshot(git, inPlace);
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    const head = await git(placeOf(checkout), ['rev-parse', '--verify', '--quiet', 'HEAD'], quick);
    if (!head.ok) throw error;
    await rm(place.indexFile, { force: true });
    await mustGit(git(place, ['read-tree', head.text], { timeoutMs: 60_000 }));
    return await snapshot(git, inPlace);
  }
}

/**
 * Returns whether the files are those of the commit. Files that git stores through a filter do not count: their bytes
 * always differ from what git has stored.
 */
async function differsOnlyInFiltered(
  { git }: Checkout,
  { place, tree, committedTree }: Baseline,
  { filtered }: Snapshot,
): Promise<boolean> {
  if (committedTree === undefined) return true;
  const stored = new Set(filtered);
  const changes = await listChanges(git, { place, tree: committedTree }, tree);
  return changes.every(({ change: { before, after } }) => before && after && stored.has(after.path));
}

async function targetOf(
  checkout: Checkout,
  { gitSyncTimeoutMs }: Settings,
  checkGit: CheckGit,
): Promise<DeliveryTarget> {
  await checkGit('all');
  const { git, settings, mirror } = checkout;
  const { upstream } = await findCurrentBranch(git, placeOf(checkout), settings.repository);
  return {
    settings,
    upstream,
    syncTimeoutMs: gitSyncTimeoutMs,
    upstreamCommit: async () => upstream && fetchedCommit(git, mirror.place, upstream),
  };
}
