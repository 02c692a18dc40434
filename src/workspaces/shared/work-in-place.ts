/** Tells a run's work in a shared workspace apart from what lay there uncommitted before. */
import { join } from 'node:path';
import { type Baseline, copyIndex, makePlace } from '../changes/baseline.ts';
import type { DeliveryTarget } from '../changes/deliver.ts';
import { GitError } from '../git/git.ts';
import { snapshot } from '../changes/snapshot.ts';
import type { StageSettings } from '../stage-settings.ts';
import { type Checkout, placeOf } from './sync-in-place.ts';
import { findStanding } from '../git/upstream.ts';
import { createWork, unknownWork, type Work } from '../changes/work.ts';
import { emptyTree } from '../worktrees/make-worktree.ts';

const quick = { timeoutMs: 10_000 };

/** Records the files as they are now. @param folder where to keep that, removed by the caller */
export async function workInPlace(checkout: Checkout, folder: string, settings: StageSettings): Promise<Work> {
  try {
    const { baseline, wasClean } = await recordNow(checkout, folder);
    const delivery = wasClean
      ? { target: () => targetOf(checkout, settings) }
      : { whyNot: 'the workspace had uncommitted changes when the run began' };
    return createWork(checkout.git, baseline, settings.bounds, delivery);
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return unknownWork(`the files before the run could not be recorded: ${error.message}`);
  }
}

async function recordNow({ git, ...checkout }: Checkout, folder: string) {
  const { gitDir } = checkout.repository;
  const inPlace = { ...placeOf({ git, ...checkout }), workTree: checkout.repository.root };
  const place = await makePlace(folder, inPlace, checkout.standIn.objects);
  await copyIndex(join(gitDir, 'index'), place.indexFile);
  const [tree, head, committed] = await Promise.all([
    // Other repositories that lie in a user's folder are the user's, and may be large.
    snapshot(git, { place, owned: false }),
    git(place, ['rev-parse', '--verify', '--quiet', 'HEAD'], quick),
    git(place, ['rev-parse', '--verify', '--quiet', 'HEAD^{tree}'], quick),
  ]);
  const clean = committed.ok ? committed.text : await emptyTree(git, place);
  const baseline: Baseline = { place, tree, owned: false, ...(head.ok && { revision: head.text }) };
  return { baseline, wasClean: tree === clean };
}

async function targetOf(checkout: Checkout, settings: StageSettings): Promise<DeliveryTarget> {
  const { git } = checkout;
  const { upstream } = await findStanding(git, placeOf(checkout), checkout.settings.repository);
  return {
    settings: checkout.settings,
    upstream,
    timeoutMs: Math.max(settings.gitSyncTimeoutMs, 60_000),
    upstreamHead: async () => {
      if (!upstream) return undefined;
      const found = await git(checkout.standIn.place, ['rev-parse', '--verify', '--quiet', upstream.tracking], quick);
      return found.ok ? found.text : undefined;
    },
  };
}
