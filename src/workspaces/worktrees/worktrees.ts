/** A worktree per run: made of the synced head, seen by no other run, and kept as a patch when nobody took its work. */
import { randomUUID } from 'node:crypto';
import { mkdir, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createRetirement } from './dispose.ts';
import { createFresh } from './fresh.ts';
import { type Git, GitError } from '../git/git.ts';
import { createKeptPatches } from './kept-patches.ts';
import { tidyStandIn } from '../git/mirror.ts';
import { aborting } from '../mutex.ts';
import { createSpares } from './prepared-worktrees.ts';
import { preparing } from '../preparing.ts';
import { findRepository, type Repository } from '../git/repository.ts';
import { checkRequired, type StageSettings } from '../stage-settings.ts';
import { findSyncedHead, type SyncedHead } from './start-point.ts';
import { checkSameRepository, makeWorkFolder } from '../links.ts';
import { safeRunId, type Workspaces } from '../workspaces.ts';
import { makeWorktree, relocated, type Worktree } from './make-worktree.ts';
import { type LeaseTools, leaseOf, preparedOf } from './worktree-lease.ts';

/** @param first the repository as it is at the server's start */
export async function createWorktrees(
  git: Git,
  workspaceDir: string,
  first: Repository,
  settings: StageSettings,
): Promise<Workspaces> {
  const root = join(settings.dataDir, 'worktrees');
  await mkdir(root, { recursive: true, mode: 0o700 });
  const name = folderName(workspaceDir);
  const heads = createFresh(() => syncNow(git, workspaceDir, first, settings), settings.syncFreshMs);
  const patches = createKeptPatches(settings.dataDir, settings.keepPatchesMs);
  const retirement = createRetirement(git, root, patches, settings);
  await retirement.adoptLeftovers();
  const onFailed = (error: unknown) => settings.onProblem('a worktree could not be made ahead', error);
  const spares = createSpares(git, { folder: root, name, number: settings.preparedWorktrees, onFailed });
  const warmedUp = warmUp();
  const tools: LeaseTools = { git, heads, retirement, settings };

  async function warmUp(): Promise<void> {
    try {
      const head = await heads();
      spares.fill(head);
      await tidyStandIn(git, head.standIn);
    } catch (error) {
      settings.onProblem('the workspace could not be prepared ahead', error);
    }
  }

  /** Spares are made when nobody waits for a worktree: writing one slows down the writing of another. */
  let waiting = 0;
  async function take(id: string, head: SyncedHead, signal?: AbortSignal): Promise<Worktree> {
    waiting += 1;
    try {
      return await takeNow(id, head, signal);
    } finally {
      waiting -= 1;
      if (waiting === 0) spares.fill(head);
    }
  }

  async function takeNow(id: string, head: SyncedHead, signal?: AbortSignal): Promise<Worktree> {
    const spare = await spares.take(head);
    const worktree = spare ?? (await makeWorktree(git, head, join(root, `.new-${randomUUID()}`), name, signal));
    const folder = join(root, safeRunId(id));
    await rename(worktree.folder, folder);
    const taken = { ...worktree, folder, baseline: relocated(worktree.baseline, folder) };
    try {
      await makeWorkFolder(taken.baseline.place.workTree, taken.head.prefix);
    } catch (error) {
      await retirement.retire(folder, true);
      throw error;
    }
    return taken;
  }

  return {
    hides: [first.root, first.gitDir, first.commonDir],
    async lease(runId, signal) {
      signal.throwIfAborted();
      safeRunId(runId);
      const head = await preparing(aborting(heads(), signal), signal);
      checkRequired(settings, head.report);
      const worktree = await preparing(take(runId, head, signal), signal);
      const lease = await preparing(leaseOf(tools, worktree, runId, head.report), signal);
      if (!signal.aborted) return lease;
      await lease.release();
      throw signal.reason;
    },
    async prepare(id) {
      const head = await preparing(heads());
      return await preparedOf(tools, await preparing(take(id, head)));
    },
    keptPatch: (runId) => patches.find(safeRunId(runId)),
    forgetPatch: (runId) => patches.remove(safeRunId(runId)),
    async close() {
      await warmedUp;
      await spares.close();
      await retirement.idle();
    },
  };
}

async function syncNow(
  git: Git,
  workspaceDir: string,
  first: Repository,
  settings: StageSettings,
): Promise<SyncedHead> {
  const repository = await findRepository(workspaceDir);
  checkSameRepository(first, repository);
  if (!repository) throw new GitError('the workspace is no longer a git repository');
  const began = performance.now();
  const head = await findSyncedHead(git, repository, settings);
  settings.onSync(head.report, performance.now() - began);
  return head;
}

/** Agents and people know a project by the name of its folder. */
function folderName(workspaceDir: string): string {
  return (
    basename(workspaceDir)
      .replace(/\.git$/, '')
      .replace(/^\.+/, '') || 'workspace'
  );
}
