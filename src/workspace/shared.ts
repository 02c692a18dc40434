/** The workspace itself, one run at a time: brought up to date, then worked on in place. */
import type { SyncReport } from '../task.ts';
import { type Git, GitError } from './git.ts';
import { readGitSettings } from './git-settings.ts';
import { findRepository, type Repository } from './repository.ts';
import { prepareStandIn } from './stand-in.ts';
import { checkRequired, type SyncSettings } from './sync.ts';
import { syncInPlace } from './sync-in-place.ts';
import { createTurns } from './turns.ts';
import { unavailable, type Workspaces } from './workspaces.ts';

export function createShared(git: Git, workspaceDir: string, settings: SyncSettings): Workspaces {
  const turns = createTurns();
  return {
    async lease(_runId, signal) {
      const endTurn = await turns.take(signal);
      try {
        const sync = await bringUpToDate(git, workspaceDir, settings, signal);
        checkRequired(settings, sync);
        signal.throwIfAborted();
        return { path: workspaceDir, sync, release: async () => endTurn() };
      } catch (error) {
        endTurn();
        throw error;
      }
    },
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
