/** What the workspace stage offers to the path of a task. */
import type { SyncReport } from '../task.ts';

/** A folder for one run. */
export type Lease = {
  path: string;
  sync: SyncReport;
  /** Gives the folder back: removed, or free for the next run. Never loses uncommitted work of a shared workspace. */
  release(): Promise<void>;
};

export type Workspaces = {
  /** Throws `workspace_unavailable`, or the signal's reason. */
  lease(runId: string, signal: AbortSignal): Promise<Lease>;
  close(): Promise<void>;
};
