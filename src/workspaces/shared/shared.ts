/** The shared mode: runs work in the workspace itself, one at a time. The workspace is synced before each run. */
import { join } from 'node:path';
import { createCleanup } from '../../processes/cleanup.ts';
import type { SyncReport } from '../../task.ts';
import { unknownWork } from '../changes/collect-and-deliver.ts';
import { type Git, GitError } from '../git/git.ts';
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
import { createSettingsReader, type SettingsReader } from './first-remotes.ts';
import { type Checkout, syncInPlace } from './sync-in-place.ts';
import { type CheckGit, workInPlace } from './work-in-place.ts';

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
  const known = first ? await orUnavailable(waysOut(first.commonDir)) : new Set<string>();
  const readSettings = await createSettingsReader(git, first, settings.environment);
  const baselines = join(settings.dataDir, 'baselines');
  const cleanup = createCleanup(settings.onProblem);
  const notRemoved = 'the record of the files before a run could not be removed';
  await cleanup.empty(notRemoved, baselines);

  const tools: SyncTools = { git, first, readSettings, settings, temporaryFolder: baselines };

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

  const checkGit: CheckGit = async (part) => {
    if (first) await refuseNewWaysOut(first.commonDir, known, part);
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
      const { checkout, sync, note } = await orUnavailable(syncNow(tools, workspaceDir, signal), signal);
      checkRequired(settings, sync);
      // The sync may have replaced the folder with a link.
      await orUnavailable(checkFolder(), signal);
      const work = checkout
        ? await orUnavailable(workInPlace(checkout, baseline, settings, checkGit))
        : unknownWork(sync.detail);
      signal.throwIfAborted();
      const { collect, deliver } = work;
      const keep = async (): Promise<Prepared> => {
        await release();
        return preparedAt(sync.revision);
      };
      const fileNotes = sync.notes && { fileNotes: sync.notes };
      const report = note === undefined ? sync : { ...sync, notes: [...(sync.notes ?? []), note] };
      return { path: workspaceDir, root, ...fileNotes, sync: report, reads: [], collect, deliver, release, keep };
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
    async undeliverable() {
      if (!first && (await findRepository(workspaceDir))) return madeLater;
      return whyUndeliverable(git, workspaceDir, async (repository) => (await readSettings(repository)).settings);
    },
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

/** A repository that was made later may be the work of an agent, whose `.git` can lead into any repository. */
const madeLater = 'the workspace was not a git repository at the start of the server';

/**
 * `checkout` is undefined if the workspace is not a repository or its settings cannot be read; `detail` then says why.
 * `note` is a sentence for the user that does not concern the files.
 */
type Synced = { note?: string | undefined } & (
  | { checkout: Checkout; sync: SyncReport }
  | { checkout?: undefined; sync: SyncReport & { detail: string } }
);

type SyncTools = {
  git: Git;
  first: Repository | undefined;
  readSettings: SettingsReader;
  settings: StageSettings;
  temporaryFolder: string;
};

async function syncNow(
  { git, first, readSettings, settings, temporaryFolder }: SyncTools,
  workspaceDir: string,
  signal: AbortSignal,
): Promise<Synced> {
  const repository = await findRepository(workspaceDir);
  if (!repository) return { sync: { state: 'off', detail: 'the workspace is not a git repository' } };
  if (!first) return { sync: { state: 'off', detail: madeLater } };
  if (repository.bare) throw unavailable('WORKSPACE_MODE=shared needs files, and the workspace is a bare repository');
  const began = performance.now();
  let result: Synced;
  try {
    const { settings: gitSettings, note } = await readSettings(repository);
    const mirror = await prepareMirror(repository, gitSettings, 'shared', settings.dataDir);
    const checkout = { git, repository, settings: gitSettings, mirror, temporaryFolder };
    if (settings.gitSync === 'off') return { checkout, sync: { state: 'off' }, note };
    const sync = await syncInPlace(checkout, { timeoutMs: settings.gitSyncTimeoutMs, signal });
    result = { checkout, sync, note };
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    result = { sync: { state: 'failed', detail: error.message } };
  }
  settings.onSync(result.sync, performance.now() - began);
  return result;
}
