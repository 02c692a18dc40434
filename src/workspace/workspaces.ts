/** What the workspace stage offers to the path of a task. */
import { ServiceError } from '../errors.ts';
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

/** A run's id names folders, files and branches. */
export function safeRunId(runId: string): string {
  if (/^[A-Za-z0-9_-]{1,128}$/.test(runId)) return runId;
  throw new ServiceError(
    'internal',
    'Cannot prepare the workspace: the id of the run is not made of letters, digits, _ and -',
  );
}

export function unavailable(reason: string, cause?: unknown): ServiceError {
  return new ServiceError('workspace_unavailable', `Cannot prepare the workspace: ${reason}`, { cause });
}
