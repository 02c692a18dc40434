/** What a sync is given, and what it means for a run that it did not succeed. */
import type { SyncReport } from '../task.ts';
import type { Environment } from './git.ts';
import { unavailable } from './workspaces.ts';

export type SyncSettings = {
  gitSync: 'best-effort' | 'required' | 'off';
  gitSyncTimeoutMs: number;
  dataDir: string;
  /** Of the host. */
  environment: Environment;
  /** Told after each sync, with how long it took. */
  onSync(report: SyncReport, ms: number): void;
};

/** Throws `workspace_unavailable` when a run must not go on without a sync. */
export function checkRequired({ gitSync }: SyncSettings, report: SyncReport): void {
  if (gitSync !== 'required' || report.state === 'synced' || report.state === 'unchanged') return;
  throw unavailable(`it could not be synced, and GIT_SYNC is required: ${report.detail ?? 'no reason was given'}`);
}
