/** The settings of this stage, and what it means for a run that a sync did not succeed. */
import type { SyncReport } from '../task.ts';
import type { ChangeLimits } from './changes/changes.ts';
import type { Environment } from './git/git.ts';
import type { KeptPatch } from './worktrees/kept-patches.ts';
import { unavailable } from './workspaces.ts';

/** What every mode needs. */
export type StageSettings = {
  gitSync: 'best-effort' | 'required' | 'off';
  gitSyncTimeoutMs: number;
  dataDir: string;
  /** Of the host. */
  environment: Environment;
  /** Told after each sync, with how long it took. */
  onSync(report: SyncReport, ms: number): void;
  /** Told when work that nobody had collected was kept as a patch. */
  onKept(runId: string, patch: KeptPatch): void;
  /** Told about trouble that no run fails from. */
  onProblem(what: string, error: unknown): void;
  /** How long a sync serves further runs in worktrees. */
  syncFreshMs: number;
  /** Worktrees made ahead. */
  preparedWorktrees: number;
  /** Of what `collect` answers. */
  bounds: ChangeLimits;
  /** How long a kept patch is kept. */
  keepPatchesMs: number;
};

/** Throws `workspace_unavailable` when a run must not go on without a sync. */
export function checkRequired({ gitSync }: StageSettings, report: SyncReport): void {
  if (gitSync !== 'required' || report.state === 'synced' || report.state === 'unchanged') return;
  throw unavailable(`it could not be synced, and GIT_SYNC is required: ${report.detail ?? 'no reason was given'}`);
}
