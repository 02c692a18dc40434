/** A worktree in the hands of a run, or of an agent that waits or rests in it. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { SyncReport } from '../../task.ts';
import { agentSettings } from './agent-repository.ts';
import { type Retirement, recordRun } from './dispose.ts';
import type { Fresh } from './fresh.ts';
import type { Git } from '../git/git.ts';
import { aborting } from '../mutex.ts';
import { preparing } from '../preparing.ts';
import { objectFolders } from '../git/repository.ts';
import { isUntouched } from '../changes/snapshot.ts';
import { checkRequired, type StageSettings } from '../stage-settings.ts';
import { type SyncedHead, sameHead } from './start-point.ts';
import { createWork } from '../changes/work.ts';
import type { Lease, Prepared } from '../workspaces.ts';
import type { Worktree } from './make-worktree.ts';

export type LeaseTools = { git: Git; heads: Fresh<SyncedHead>; retirement: Retirement; settings: StageSettings };

/** From here on the worktree is the run's, also if the server dies. */
export async function leaseOf(tools: LeaseTools, worktree: Worktree, runId: string, sync: SyncReport): Promise<Lease> {
  const { git, settings, retirement } = tools;
  await recordRun(runId, worktree);
  const work = createWork(git, worktree.baseline, settings.bounds, { target: async () => targetOf(tools, worktree) });
  const release = () => retirement.retire(worktree.folder, work.settled());
  return {
    path: pathOf(worktree),
    root: worktree.baseline.place.workTree,
    sync,
    revision: worktree.head.revision,
    reads: await objectFolders(worktree.head.standIn.objects),
    notes: worktree.notes,
    collect: work.collect,
    deliver: work.deliver,
    release,
    keep: () => preparedOf(tools, worktree, { clean: isPristine(git, worktree), discard: release }),
  };
}

/** @param kept of a run that was here; without, nobody has worked in it yet */
export async function preparedOf(
  tools: LeaseTools,
  worktree: Worktree,
  kept?: { clean: Promise<boolean>; discard: () => Promise<void> },
): Promise<Prepared> {
  const { heads, retirement, settings } = tools;
  let clean = !kept;
  const looked = kept?.clean.then((found) => {
    clean = found;
  });
  const discard = async () => {
    await looked;
    await (kept ? kept.discard() : retirement.retire(worktree.folder, true));
  };
  return {
    path: pathOf(worktree),
    root: worktree.baseline.place.workTree,
    reads: await objectFolders(worktree.head.standIn.objects),
    get clean() {
      return clean;
    },
    async claim(runId, signal) {
      try {
        const head = await preparing(aborting(heads(), signal), signal);
        checkRequired(settings, head.report);
        if (sameHead(worktree.head, head)) return await preparing(leaseOf(tools, worktree, runId, head.report), signal);
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

export function pathOf({ baseline, head }: Worktree): string {
  return join(baseline.place.workTree, head.prefix);
}

function targetOf({ git, heads, settings }: LeaseTools, { head }: Worktree) {
  return {
    settings: head.settings,
    upstream: head.upstream,
    timeoutMs: Math.max(settings.gitSyncTimeoutMs, 60_000),
    upstreamHead: async () => {
      const { upstream, standIn } = await heads();
      if (!upstream) return undefined;
      const args = ['rev-parse', '--verify', '--quiet', upstream.tracking];
      const found = await git(standIn.place, args, { timeoutMs: 10_000 });
      return found.ok ? found.text : undefined;
    },
  };
}

/** The files as they were, and nothing done in the agent's own repository. */
async function isPristine(git: Git, { baseline, head }: Worktree): Promise<boolean> {
  const own = join(baseline.place.workTree, '.git');
  try {
    const [untouched, config, logs] = await Promise.all([
      isUntouched(git, baseline),
      readFile(join(own, 'config'), 'utf8'),
      stat(join(own, 'logs')).catch(() => undefined),
    ]);
    return untouched && config === agentSettings(head) && logs === undefined;
  } catch {
    return false;
  }
}
