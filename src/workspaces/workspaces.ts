/** What the workspace stage offers to the path of a task. */
import { ServiceError } from '../errors.ts';
import type { Delivery, SyncReport } from '../task.ts';
import type { Changes } from './changes/changes.ts';
import type { DeliveryRequest } from './changes/deliver.ts';
import type { KeptPatch } from './worktrees/kept-patches.ts';

/** A folder for one run. */
export type Lease = {
  /** What the agent works in. */
  path: string;
  /** The top of the repository that it is in; the folder itself when there is none. Absent: it was made empty. */
  root?: string;
  sync: SyncReport;
  /** The commit that the run begins from. */
  revision: string | undefined;
  /** Folders outside `path` that the agent's own git has to read: a sandbox must show them. */
  reads: string[];
  /** What of the repository an agent does not find in it, for people. */
  notes: string[];
  /** What was done to the files until now. Once all of it was told, the work counts as taken. Tells why it cannot. */
  collect(): Promise<Changes>;
  /** Commits the work and pushes it as a branch. A failure is reported, and the work can still be collected. */
  deliver(request: DeliveryRequest): Promise<Delivery>;
  /**
   * Gives the folder back: removed, or free for the next run. Uncommitted work of a shared workspace stays in it; work
   * in a worktree that was neither collected nor delivered is kept as a patch. The cleaning up goes on in the background.
   */
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
  /** See `Lease`. */
  root?: string;
  /** See `Lease`. */
  reads: string[];
  /** Holds nothing but what a fresh one does; false until that has been looked at. */
  readonly clean: boolean;
  /**
   * Turns it into the lease of a run, synced as any other. `undefined`: the workspace has moved on since, and this
   * folder has been discarded. Throws as `lease` does, and has then been discarded too.
   */
  claim(runId: string, signal: AbortSignal): Promise<Lease | undefined>;
  discard(): Promise<void>;
};

export type Workspaces = {
  /** Folders that no agent has to see but for its own part of them: what runs are made from. */
  hides: string[];
  /** Makes a folder ready ahead of a run. Throws `workspace_unavailable`. */
  prepare(id: string): Promise<Prepared>;
  /** Throws `workspace_unavailable`, or the signal's reason. */
  lease(runId: string, signal: AbortSignal): Promise<Lease>;
  /** Work of a run that nobody collected, as when the server died. */
  keptPatch(runId: string): Promise<KeptPatch | undefined>;
  forgetPatch(runId: string): Promise<void>;
  /** Settles when all that was given back is cleaned up. */
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
