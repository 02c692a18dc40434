/** The interface of all workspace modes: what they offer, their settings, and their errors. */
import { ServiceError } from '../errors.ts';
import type { Delivery, SyncReport } from '../task.ts';
import type { ChangeLimits, Changes } from './changes/changes.ts';
import type { DeliveryRequest } from './changes/deliver.ts';
import { GitError } from './git/git.ts';
import type { Environment } from './git/git-environment.ts';

export type Workspaces = {
  /** The folders of the user's repository that a sandbox must hide from agents. */
  hides: string[];
  /**
   * Returns why the work of a run could not be delivered, as far as this is known before the run. Returns undefined if
   * nothing speaks against it.
   */
  undeliverable(): Promise<string | undefined>;
  /** Makes a folder for an agent that is started before its run is known. Throws `workspace_unavailable`. */
  prepare(id: string): Promise<Prepared>;
  /** Gives a run its folder. Throws `workspace_unavailable`, or the signal's reason after an abort. */
  lease(runId: string, signal: AbortSignal): Promise<WorkspaceLease>;
  /** Removes the patch that was kept for a run, if there is one. */
  forgetPatch(runId: string): Promise<void>;
  /** Settles when all released folders are cleaned up. */
  close(): Promise<void>;
};

/** A run's right to use a workspace folder, until it releases the folder. */
export type WorkspaceLease = {
  /** The agent's working directory. */
  path: string;
  /**
   * The top folder of the repository that holds `path`, or `path` itself if there is no repository. Undefined if the
   * folder was made empty for the run.
   */
  root?: string;
  /** The notes in the report that the agent must know. Undefined if there are none. */
  fileNotes?: string[];
  /** The report of the sync before the run. Its `revision` is the commit on which the run begins. */
  sync: SyncReport;
  /** Folders outside `path` that git reads when the agent runs it. A sandbox must let the agent read these folders. */
  reads: string[];
  /**
   * Returns the changes made so far. If they are complete, the work counts as saved, and `release` keeps no patch. A
   * failure is reported in `patchOmitted`.
   */
  collect(): Promise<Changes>;
  /**
   * Commits the work and pushes it as a branch. A failure is reported in the result, and the work can still be
   * collected.
   */
  deliver(request: DeliveryRequest): Promise<Delivery>;
  /**
   * Removes the folder, or frees the shared workspace for the next run. Work in a shared workspace stays there. Unsaved
   * work in a worktree is kept as a patch. May settle before the clean-up in the background has ended.
   */
  release(): Promise<void>;
  /** Keeps the folder for an idle agent. Called instead of `release`. */
  keep(): Promise<Prepared>;
};

/** The folder of a prewarmed or an idle agent. */
export type Prepared = {
  path: string;
  /** See `WorkspaceLease`. */
  root?: string;
  /** See `WorkspaceLease`. */
  fileNotes?: string[];
  /** See `WorkspaceLease`. */
  reads: string[];
  /** Whether the folder has the same content as a new one. `false` until this has been checked. */
  readonly clean: boolean;
  /**
   * Syncs, and gives the folder to a run. Returns `undefined` if the workspace has changed since the folder was made;
   * the folder is then discarded. Throws the errors of `Workspaces.lease`; the folder is then discarded too.
   */
  lease(runId: string, signal: AbortSignal): Promise<WorkspaceLease | undefined>;
  discard(): Promise<void>;
};

/** The settings that all modes share. */
export type StageSettings = {
  gitSync: 'best-effort' | 'required' | 'off';
  gitSyncTimeoutMs: number;
  dataDir: string;
  /** The host's environment variables. */
  environment: Environment;
  /** Called after each sync, with the duration in milliseconds. */
  onSync(report: SyncReport, ms: number): void;
  /** Called when work that was neither collected nor delivered was kept as a patch. */
  onKept(runId: string, patch: KeptPatch): void;
  /** Called for errors that do not make a run fail. */
  onProblem(what: string, error: unknown): void;
  /** How long runs in worktrees use the result of the last sync, in milliseconds. */
  syncFreshMs: number;
  /** How many worktrees are made before a run needs them. */
  preparedWorktrees: number;
  /** The limits on what `collect` returns. */
  changeLimits: ChangeLimits;
  /** How long a kept patch is stored, in milliseconds. */
  keepPatchesMs: number;
};

export type KeptPatch = { path: string; bytes: number };

export function unavailable(reason: string, cause?: unknown): ServiceError {
  return new ServiceError('workspace_unavailable', `Cannot prepare the workspace: ${reason}`, { cause });
}

/**
 * Awaits a step, and turns errors of git and of the file system into `workspace_unavailable`. After an abort it throws
 * the signal's reason.
 */
export async function orUnavailable<T>(step: Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await step;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof GitError) throw unavailable(error.message, error);
    if (error instanceof Error && 'syscall' in error) throw unavailable('its folder could not be made', error);
    throw error;
  }
}

/** Throws `workspace_unavailable` if a sync is required and did not succeed. */
export function checkRequired({ gitSync }: StageSettings, report: SyncReport): void {
  if (gitSync !== 'required' || report.state === 'synced' || report.state === 'unchanged') return;
  throw unavailable(`it could not be synced, and GIT_SYNC is required: ${report.detail ?? 'no reason was given'}`);
}

/**
 * Returns the id of a run, which is used in names of folders, files and branches. Throws `internal` if the id could
 * lead out of a folder.
 */
export function safeRunId(runId: string): string {
  if (/^[A-Za-z0-9_-]{1,128}$/.test(runId)) return runId;
  throw new ServiceError(
    'internal',
    'Cannot prepare the workspace: the id of the run is not made of letters, digits, _ and -',
  );
}
