/** The workspace itself, one run at a time: brought up to date, then worked on in place. */
import type { SyncReport } from '../task.ts';
import { type Git, GitError } from './git.ts';
import { readGitSettings } from './git-settings.ts';
import { findRepository, type Repository } from './repository.ts';
import { prepareStandIn } from './stand-in.ts';
import { checkRequired, type SyncSettings } from './sync.ts';
import { syncInPlace } from './sync-in-place.ts';
import { createTurns } from './turns.ts';
import { type Lease, type Prepared, unavailable, type Workspaces } from './workspaces.ts';

export function createShared(git: Git, workspaceDir: string, settings: SyncSettings): Workspaces {
  const turns = createTurns();

  const lease = async (signal: AbortSignal): Promise<Lease> => {
    const endTurn = await turns.take(signal);
    try {
      const sync = await bringUpToDate(git, workspaceDir, settings, signal);
      checkRequired(settings, sync);
      signal.throwIfAborted();
      return { path: workspaceDir, sync, release: async () => endTurn(), keep: async () => keep(sync, endTurn) };
    } catch (error) {
      endTurn();
      throw error;
    }
  };

  /** The folder is everybody's; what is kept is the agent that knows it as it was at this revision. */
  const keep = (sync: SyncReport, endTurn: () => void): Prepared => {
    endTurn();
    return preparedAt(sync.revision);
  };

  const preparedAt = (revision: string | undefined): Prepared => ({
    path: workspaceDir,
    clean: true,
    async claim(_runId, signal) {
      const claimed = await lease(signal);
      if (revision === undefined || claimed.sync.revision === revision) return claimed;
      await claimed.release();
      return undefined;
    },
    discard: async () => {},
  });

  return {
    lease: (_runId, signal) => lease(signal),
    // The revision is not known before the first sync; a spare is young, and its agent reads files when it is asked.
    prepare: async () => preparedAt(undefined),
    close: async () => {},
  };
}

async function bringUpToDate(
  git: Git,
  workspaceDir: string,
  settings: SyncSettings,
  signal: AbortSignal,
): Promise<SyncReport> {
  const repository = await findRepository(workspaceDir);
  if (!repository) return { state: 'off', detail: 'the workspace is not a git repository' };
  if (repository.bare) throw unavailable('WORKSPACE_MODE=shared needs files, and the workspace is a bare repository');
  if (settings.gitSync === 'off') return { state: 'off' };
  const began = performance.now();
  const report = await sync(git, repository, settings, signal);
  settings.onSync(report, performance.now() - began);
  return report;
}

async function sync(
  git: Git,
  repository: Repository,
  settings: SyncSettings,
  signal: AbortSignal,
): Promise<SyncReport> {
  try {
    const gitSettings = await readGitSettings(git, repository, settings.environment);
    const standIn = await prepareStandIn(repository, gitSettings, 'shared', settings.dataDir);
    const limits = { timeoutMs: settings.gitSyncTimeoutMs, signal };
    return await syncInPlace({ git, repository, settings: gitSettings, standIn }, limits);
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return { state: 'failed', detail: error.message };
  }
}
