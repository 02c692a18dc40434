/** The worktree mode: each run gets its own worktree, which no other run sees and which is removed after the run. */
import { randomUUID } from 'node:crypto';
import { mkdir, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Git, GitError } from '../git/git.ts';
import { readGitSettings } from '../git/git-settings.ts';
import { packMirror } from '../git/mirror.ts';
import { findRepository, type Repository } from '../git/repository.ts';
import { checkSameRepository, makeWorkFolder } from '../links.ts';
import { untilAborted } from '../mutex.ts';
import { whyUndeliverable } from '../undeliverable.ts';
import { checkRequired, orUnavailable, type StageSettings, safeRunId, type Workspaces } from '../workspaces.ts';
import { createDisposal } from './dispose.ts';
import { makeWorktree, relocated, type Worktree } from './make-worktree.ts';
import { createPreparedWorktrees } from './prepared-worktrees.ts';
import { findStartPoint, type StartPoint } from './start-point.ts';
import { type LeaseTools, leaseOf, preparedOf } from './worktree-lease.ts';

/** @param first the workspace's repository at the server's start */
export async function createWorktrees(
  git: Git,
  workspaceDir: string,
  first: Repository,
  settings: StageSettings,
): Promise<Workspaces> {
  const root = join(settings.dataDir, 'worktrees');
  await mkdir(root, { recursive: true, mode: 0o700 });
  const name = projectName(workspaceDir);
  const currentStart = createSync(git, workspaceDir, first, settings);
  const disposal = createDisposal(git, root, settings);
  await disposal.disposeLeftovers();
  const onFailed = (error: unknown) => settings.onProblem('a worktree could not be made ahead', error);
  const discard = (folder: string) => disposal.dispose(folder, true);
  const count = settings.preparedWorktrees;
  const prepared = createPreparedWorktrees(git, { folder: root, name, count, discard, onFailed });
  const preparing = prepareAhead();
  const tools: LeaseTools = { git, currentStart, disposal, settings };

  async function prepareAhead(): Promise<void> {
    try {
      const start = await currentStart();
      prepared.fill(start);
      await packMirror(git, start.mirror);
    } catch (error) {
      settings.onProblem('the workspace could not be prepared ahead', error);
    }
  }

  /**
   * How many callers wait for a worktree. Worktrees are made ahead only if this is 0, because two checkouts at once
   * slow each other down.
   */
  let waiting = 0;
  async function take(id: string, start: StartPoint, signal?: AbortSignal): Promise<Worktree> {
    waiting += 1;
    try {
      return await takeNow(id, start, signal);
    } finally {
      waiting -= 1;
      if (waiting === 0) prepared.fill(start);
    }
  }

  async function takeNow(id: string, start: StartPoint, signal?: AbortSignal): Promise<Worktree> {
    const worktree = (await prepared.take(start)) ?? (await makeNow(start, signal));
    const folder = join(root, safeRunId(id));
    await orDiscard(worktree.folder, () => rename(worktree.folder, folder));
    const taken = { ...worktree, folder, baseline: relocated(worktree.baseline, folder) };
    await orDiscard(folder, () => makeWorkFolder(taken.baseline.place.workTree, taken.start.prefix));
    return taken;
  }

  function makeNow(start: StartPoint, signal?: AbortSignal): Promise<Worktree> {
    const folder = join(root, `.new-${randomUUID()}`);
    return orDiscard(folder, () => makeWorktree(git, start, folder, name, signal));
  }

  /** Does a step with a folder. If the step fails, also when its run was cancelled, discards the folder. */
  async function orDiscard<T>(folder: string, step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      await discard(folder);
      throw error;
    }
  }

  return {
    hides: [first.root, first.gitDir, first.commonDir],
    undeliverable: () =>
      whyUndeliverable(git, workspaceDir, (repository) => readGitSettings(git, repository, settings.environment)),
    async lease(runId, signal) {
      signal.throwIfAborted();
      safeRunId(runId);
      const start = await orUnavailable(untilAborted(currentStart(), signal), signal);
      checkRequired(settings, start.report);
      const worktree = await orUnavailable(take(runId, start, signal), signal);
      const lease = await orUnavailable(
        orDiscard(worktree.folder, () => leaseOf(tools, worktree, runId)),
        signal,
      );
      if (!signal.aborted) return lease;
      await lease.release();
      throw signal.reason;
    },
    async prepare(id) {
      const start = await orUnavailable(currentStart());
      const worktree = await orUnavailable(take(id, start));
      return await orUnavailable(orDiscard(worktree.folder, () => preparedOf(tools, worktree)));
    },
    forgetPatch: (runId) => disposal.forgetPatch(safeRunId(runId)),
    async close() {
      await preparing;
      await prepared.close();
      await disposal.close();
    },
  };
}

/**
 * Returns a function that syncs. Its callers share a sync that is running, and use its result for `syncFreshMs` after
 * its end. If a sync fails, everyone who waits for it gets the error, and the next call syncs again.
 */
function createSync(
  git: Git,
  workspaceDir: string,
  first: Repository,
  settings: StageSettings,
): () => Promise<StartPoint> {
  let latest: { result: Promise<StartPoint>; endedAt: number } | undefined;
  let last: StartPoint | undefined;
  return () => {
    if (latest && performance.now() - latest.endedAt < settings.syncFreshMs) return latest.result;
    const started = { result: syncNow(git, workspaceDir, first, settings, last), endedAt: Number.POSITIVE_INFINITY };
    latest = started;
    started.result.then(
      (start) => {
        last = start;
        started.endedAt = performance.now();
      },
      () => {
        if (latest === started) latest = undefined;
      },
    );
    return started.result;
  };
}

async function syncNow(
  git: Git,
  workspaceDir: string,
  first: Repository,
  settings: StageSettings,
  last: StartPoint | undefined,
): Promise<StartPoint> {
  const repository = await findRepository(workspaceDir);
  checkSameRepository(first, repository);
  if (!repository) throw new GitError('the workspace is no longer a git repository');
  const began = performance.now();
  const start = await findStartPoint(git, repository, settings, last);
  settings.onSync(start.report, performance.now() - began);
  return start;
}

/** Returns the name of the workspace's folder, by which agents and people know the project. */
function projectName(workspaceDir: string): string {
  return (
    basename(workspaceDir)
      .replace(/\.git$/, '')
      .replace(/^\.+/, '') || 'workspace'
  );
}
