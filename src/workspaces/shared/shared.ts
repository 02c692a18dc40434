/** The shared mode: runs work in the workspace itself, one at a time. The workspace is synced before each run. */
import { join } from 'node:path';
import { createCleanup } from '../../processes/cleanup.ts';
import type { SyncReport } from '../../task.ts';
import { unknownWork } from '../changes/collect-and-deliver.ts';
import { type Git, GitError } from '../git/git.ts';
import { readGitSettings } from '../git/git-settings.ts';
import { prepareMirror } from '../git/mirror.ts';
import { findRepository, type Repository } from '../git/repository.ts';
import { checkSameRepository, refuseNewWaysOut, waysOut } from '../links.ts';
import { createMutex } from '../mutex.ts';
import { whyUndeliverable } from '../undeliverable.ts';
import {
  checkRequired,
  orUnavailable,
  type Prepared,
  type StageSettings,
  safeRunId,
  unavailable,
  type WorkspaceLease,
  type Workspaces,
} from '../workspaces.ts';
import { type Checkout, syncInPlace } from './sync-in-place.ts';
import { workInPlace } from './work-in-place.ts';

/**
 * @param first the workspace's repository at the server's start. Undefined if the workspace was not in a repository.
 */
export async function createShared(
  git: Git,
  workspaceDir: string,
  first: Repository | undefined,
  settings: StageSettings,
): Promise<Workspaces> {
  const mutex = createMutex();
  const root = first?.root ?? workspaceDir;
  const known = first ? await waysOut(first.commonDir) : new Set<string>();
  const baselines = join(settings.dataDir, 'baselines');
  const cleanup = createCleanup(settings.onProblem);
  const notRemoved = 'the record of the files before a run could not be removed';
  await cleanup.empty(notRemoved, baselines);

  const checkFolder = async (): Promise<void> => {
    if (first) checkSameRepository(first, await findRepository(workspaceDir));
  };

  /**
   * Checks the repository before the server runs git in it, because the agent of an earlier run may have changed
   * `.git`.
   */
  const checkRepository = async (): Promise<void> => {
    if (!first) return;
    const now = await findRepository(workspaceDir);
    checkSameRepository(first, now);
    await refuseNewWaysOut(now?.commonDir ?? first.commonDir, known);
  };

  const lease = async (runId: string, signal: AbortSignal): Promise<WorkspaceLease> => {
    const baseline = join(baselines, safeRunId(runId));
    const unlock = await mutex.lock(signal);
    const release = async () => {
      await cleanup.remove(notRemoved, baseline);
      unlock();
    };
    try {
      await orUnavailable(checkRepository(), signal);
      const { checkout, sync } = await orUnavailable(syncNow(git, workspaceDir, settings, baselines, signal), signal);
      checkRequired(settings, sync);
      // The sync may have replaced the folder with a link.
      await orUnavailable(checkFolder(), signal);
      const work = checkout ? await orUnavailable(workInPlace(checkout, baseline, settings)) : unknownWork(sync.detail);
      signal.throwIfAborted();
      const { collect, deliver } = work;
      const keep = async (): Promise<Prepared> => {
        await release();
        return preparedAt(sync.revision);
      };
      const notes = sync.notes && { fileNotes: sync.notes };
      return { path: workspaceDir, root, ...notes, sync, reads: [], collect, deliver, release, keep };
    } catch (error) {
      await release();
      throw error;
    }
  };

  /**
   * Returns the shared folder for a prewarmed or idle agent. The agent is used only if the workspace is still at
   * `revision`.
   * @param revision the commit whose files the agent may have read. Undefined for an agent that has read no files yet;
   * this agent can be used at any commit
   */
  const preparedAt = (revision: string | undefined): Prepared => ({
    path: workspaceDir,
    root,
    reads: [],
    clean: true,
    async lease(runId, signal) {
      const leased = await lease(runId, signal);
      // An agent that was started earlier does not know the notes.
      if (revision === undefined ? !leased.fileNotes : leased.sync.revision === revision) return leased;
      await leased.release();
      return undefined;
    },
    discard: async () => {},
  });

  return {
    hides: [],
    undeliverable: () => whyUndeliverable(git, workspaceDir, settings.environment),
    lease,
    // A prewarmed agent has read no files yet, so it can be used at any revision.
    async prepare() {
      await orUnavailable(checkFolder());
      return preparedAt(undefined);
    },
    forgetPatch: async () => {},
    close: () => cleanup.close(),
  };
}

/**
 * `checkout` is undefined if the workspace is not a repository or its settings cannot be read; `detail` then says why.
 */
type Synced =
  | { checkout: Checkout; sync: SyncReport }
  | { checkout?: undefined; sync: SyncReport & { detail: string } };

async function syncNow(
  git: Git,
  workspaceDir: string,
  settings: StageSettings,
  temporaryFolder: string,
  signal: AbortSignal,
): Promise<Synced> {
  const repository = await findRepository(workspaceDir);
  if (!repository) return { sync: { state: 'off', detail: 'the workspace is not a git repository' } };
  if (repository.bare) throw unavailable('WORKSPACE_MODE=shared needs files, and the workspace is a bare repository');
  const began = performance.now();
  let result: Synced;
  try {
    const gitSettings = await readGitSettings(git, repository, settings.environment);
    const mirror = await prepareMirror(repository, gitSettings, 'shared', settings.dataDir);
    const checkout = { git, repository, settings: gitSettings, mirror, temporaryFolder };
    if (settings.gitSync === 'off') return { checkout, sync: { state: 'off' } };
    result = { checkout, sync: await syncInPlace(checkout, { timeoutMs: settings.gitSyncTimeoutMs, signal }) };
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    result = { sync: { state: 'failed', detail: error.message } };
  }
  settings.onSync(result.sync, performance.now() - began);
  return result;
}
