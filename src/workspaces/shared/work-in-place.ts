/**
 * Records the files of a shared workspace before a run, so that earlier uncommitted changes are not part of the run's
 * work.
 */
import { join } from 'node:path';
import { type Baseline, copyIndex, emptyTree, makeBaselinePlace } from '../changes/baseline.ts';
import type { ChangeLimits } from '../changes/changes.ts';
import { createWork, unknownWork, type Work } from '../changes/collect-and-deliver.ts';
import type { DeliveryTarget } from '../changes/deliver.ts';
import { snapshot } from '../changes/snapshot.ts';
import { GitError } from '../git/git.ts';
import { fetchedCommit, findCurrentBranch } from '../git/upstream.ts';
import { type Checkout, placeOf } from './sync-in-place.ts';

const quick = { timeoutMs: 10_000 };

type Settings = { changeLimits: ChangeLimits; gitSyncTimeoutMs: number };

/**
 * Records the current files as the baseline of a run, and returns the run's work.
 * @param folder the folder for the record; the caller removes it
 */
export async function workInPlace(checkout: Checkout, folder: string, settings: Settings): Promise<Work> {
  try {
    const { baseline, wasClean } = await recordFiles(checkout, folder);
    const delivery = wasClean
      ? { target: () => targetOf(checkout, settings) }
      : { impossible: 'the workspace had uncommitted changes when the run began' };
    return createWork(checkout.git, baseline, settings.changeLimits, delivery);
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return unknownWork(`the files before the run could not be recorded: ${error.message}`);
  }
}

async function recordFiles(checkout: Checkout, folder: string): Promise<{ baseline: Baseline; wasClean: boolean }> {
  const { git, repository, mirror } = checkout;
  const inPlace = { ...placeOf(checkout), workTree: repository.root };
  const place = await makeBaselinePlace(folder, inPlace, mirror.objects);
  await copyIndex(join(repository.gitDir, 'index'), place.indexFile);
  const [tree, head, committed] = await Promise.all([
    // `owned` is false: nested repositories in the user's folder belong to the user, and may be large.
    snapshot(git, { place, owned: false }),
    git(place, ['rev-parse', '--verify', '--quiet', 'HEAD'], quick),
    git(place, ['rev-parse', '--verify', '--quiet', 'HEAD^{tree}'], quick),
  ]);
  const clean = committed.ok ? committed.text : await emptyTree(git, place);
  const baseline: Baseline = { place, tree, owned: false, ...(head.ok && { revision: head.text }) };
  return { baseline, wasClean: tree === clean };
}

async function targetOf(checkout: Checkout, { gitSyncTimeoutMs }: Settings): Promise<DeliveryTarget> {
  const { git, settings, mirror } = checkout;
  const { upstream } = await findCurrentBranch(git, placeOf(checkout), settings.repository);
  return {
    settings,
    upstream,
    syncTimeoutMs: gitSyncTimeoutMs,
    upstreamCommit: async () => upstream && fetchedCommit(git, mirror.place, upstream),
  };
}
