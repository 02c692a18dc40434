/** Gives a worktree to a run, or keeps it for a prewarmed or idle agent. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createWork } from '../changes/collect-and-deliver.ts';
import type { DeliveryTarget } from '../changes/deliver.ts';
import { isUntouched } from '../changes/snapshot.ts';
import type { Git } from '../git/git.ts';
import { objectFolders, readSmallFile } from '../git/repository.ts';
import { fetchedCommit } from '../git/upstream.ts';
import { untilAborted } from '../mutex.ts';
import { checkRequired, orUnavailable, type Prepared, type StageSettings, type WorkspaceLease } from '../workspaces.ts';
import { agentSettings } from './agent-repository.ts';
import { type Disposal, recordRun } from './dispose.ts';
import type { Worktree } from './make-worktree.ts';
import { type StartPoint, sameStartPoint } from './start-point.ts';

/** `currentStart` syncs and returns the start point, or returns the start point of a sync that is recent enough. */
export type LeaseTools = {
  git: Git;
  currentStart: () => Promise<StartPoint>;
  disposal: Disposal;
  settings: StageSettings;
};

/** Gives the worktree to a run. From now on the run's work is kept, even if the server dies. */
export async function leaseOf(tools: LeaseTools, worktree: Worktree, runId: string): Promise<WorkspaceLease> {
  const { git, settings, disposal } = tools;
  const { folder, start, baseline } = worktree;
  await recordRun(runId, worktree);
  const work = createWork(git, baseline, settings.changeLimits, { target: async () => targetOf(tools, start) });
  const release = () => disposal.dispose(folder, work.saved());
  return {
    ...(await foldersOf(worktree)),
    sync: start.report,
    collect: work.collect,
    deliver: work.deliver,
    release,
    keep: () => preparedOf(tools, worktree, { clean: isPristine(git, worktree), discard: release }),
  };
}

/**
 * Keeps a worktree for a prewarmed or idle agent.
 * @param used given if a run has used the worktree. `clean` settles with whether the run left the worktree unchanged
 */
export async function preparedOf(
  tools: LeaseTools,
  worktree: Worktree,
  used?: { clean: Promise<boolean>; discard: () => Promise<void> },
): Promise<Prepared> {
  const { currentStart, disposal, settings } = tools;
  let clean = !used;
  const checked = used?.clean.then((found) => {
    clean = found;
  });
  const discard = async () => {
    await checked;
    await (used ? used.discard() : disposal.dispose(worktree.folder, true));
  };
  return {
    ...(await foldersOf(worktree)),
    get clean() {
      return clean;
    },
    async lease(runId, signal) {
      try {
        const start = await orUnavailable(untilAborted(currentStart(), signal), signal);
        checkRequired(settings, start.report);
        if (sameStartPoint(worktree.start, start)) {
          return await orUnavailable(leaseOf(tools, { ...worktree, start }, runId), signal);
        }
      } catch (error) {
        await discard();
        throw error;
      }
      await discard();
      return undefined;
    },
    discard,
  };
}

type Folders = Pick<Prepared, 'path' | 'root' | 'reads' | 'fileNotes'>;

async function foldersOf({ baseline, start }: Worktree): Promise<Folders> {
  const root = baseline.place.workTree;
  const { notes } = start.files;
  const reads = await objectFolders(start.mirror.objects);
  return { path: join(root, start.prefix), root, reads, ...(notes.length > 0 && { fileNotes: notes }) };
}

function targetOf({ git, currentStart, settings }: LeaseTools, start: StartPoint): DeliveryTarget {
  return {
    settings: start.settings,
    upstream: start.upstream,
    syncTimeoutMs: settings.gitSyncTimeoutMs,
    upstreamCommit: async () => {
      const { upstream, mirror } = await currentStart();
      return upstream && fetchedCommit(git, mirror.place, upstream);
    },
  };
}

/** Returns whether the files are as they were checked out, and nothing was done in the agent's own repository. */
async function isPristine(git: Git, { baseline, start }: Worktree): Promise<boolean> {
  const own = join(baseline.place.workTree, '.git');
  try {
    const [untouched, config, logs] = await Promise.all([
      isUntouched(git, baseline),
      readSmallFile(join(own, 'config')),
      stat(join(own, 'logs')).catch(() => undefined),
    ]);
    return untouched && config === agentSettings(start) && logs === undefined;
  } catch {
    return false;
  }
}
