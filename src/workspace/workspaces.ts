/** What the workspace stage offers to the path of a task. */
import { ServiceError } from '../errors.ts';
import type { SyncReport } from '../task.ts';

/** A folder for one run. */
export type Lease = {
  path: string;
  sync: SyncReport;
  /** Gives the folder back: removed, or free for the next run. Never loses uncommitted work of a shared workspace. */
  release(): Promise<void>;
  /**
   * Instead of `release`: keeps the folder for an agent that rests in it. `undefined`, and still to be released, when
   * the run left something in it that a later run must not find.
   */
  keep(): Promise<Prepared | undefined>;
};

/** A folder that an agent may be started in ahead of its run. */
export type Prepared = {
  path: string;
  /** Holds nothing but what a fresh one does. */
  clean: boolean;
  /**
   * Turns it into the lease of a run, synced as any other. `undefined`: the workspace has moved on since, and this
   * folder has been discarded. Throws as `lease` does, and has then been discarded too.
   */
  claim(runId: string, signal: AbortSignal): Promise<Lease | undefined>;
  discard(): Promise<void>;
};

export type Workspaces = {
  /** Makes a folder ready ahead of a run. Throws `workspace_unavailable`. */
  prepare(id: string): Promise<Prepared>;
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
