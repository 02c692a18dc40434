/** The interface of the workspace stage: what it offers, its settings, and its errors. */
import { ServiceError } from '../errors.ts';
import type { Delivery, SyncReport } from '../task.ts';
import type { ChangeLimits, Changes } from './changes/changes.ts';
import type { DeliveryRequest } from './changes/deliver.ts';
import { GitError } from './git/git.ts';
import type { Environment } from './git/git-environment.ts';

export type Workspaces = {
  /** The repository's folders, from which runs get their files: a sandbox hides them from agents. */
  hides: string[];
  /** Makes a folder for an agent that is started before its run is known. Throws `workspace_unavailable`. */
  prepare(id: string): Promise<Prepared>;
  /** Gives a run its folder. Throws `workspace_unavailable`, or the signal's reason. */
  lease(runId: string, signal: AbortSignal): Promise<WorkspaceLease>;
  /** Removes the patch that was kept of a run, if there is one. */
  forgetPatch(runId: string): Promise<void>;
  /** Settles when everything that was released is cleaned up. */
  close(): Promise<void>;
};

/** The folder of one run. */
export type WorkspaceLease = {
  /** The agent's working directory. */
  path: string;
  /** The top of the repository that holds `path`, or `path` without a repository. Absent: the folder was made empty. */
  root?: string;
  /** Its `revision` is the commit on which the run begins. */
  sync: SyncReport;
  /** Folders outside `path` that the agent's own git reads: a sandbox must show them. */
  reads: string[];
  /**
   * The changes until now. When they are complete, the work counts as saved, and `release` keeps no patch. A failure is
   * reported in `patchOmitted`.
   */
  collect(): Promise<Changes>;
  /** Commits the work and pushes it as a branch. A failure is reported, and the work can still be collected. */
  deliver(request: DeliveryRequest): Promise<Delivery>;
  /**
   * Removes the folder, or frees the shared workspace for the next run. Work in a shared workspace stays there; unsaved
   * work in a worktree is kept as a patch. Settles early: the clean-up goes on in the background.
   */
  release(): Promise<void>;
  /** Instead of `release`: keeps the folder for an idle agent. */
  keep(): Promise<Prepared>;
};

/** The folder of a prewarmed or an idle agent. */
export type Prepared = {
  path: string;
  /** See `WorkspaceLease`. */
  root?: string;
  /** See `WorkspaceLease`. */
  reads: string[];
  /** The folder holds the same as a new one. False until that has been checked. */
  readonly clean: boolean;
  /**
   * Syncs, and gives the folder to a run. `undefined`: the workspace has changed since the folder was made, so the folder
   * was discarded. Discards it also when it throws, with the errors of `Workspaces.lease`.
   */
  lease(runId: string, signal: AbortSignal): Promise<WorkspaceLease | undefined>;
  discard(): Promise<void>;
};

/** The settings that all modes share. */
export type StageSettings = {
  gitSync: 'best-effort' | 'required' | 'off';
  gitSyncTimeoutMs: number;
  dataDir: string;
  /** The environment of the host. */
  environment: Environment;
  /** Called after each sync, with its duration. */
  onSync(report: SyncReport, ms: number): void;
  /** Called when work that was neither collected nor delivered was kept as a patch. */
  onKept(runId: string, patch: KeptPatch): void;
  /** Called on errors that fail no run. */
  onProblem(what: string, error: unknown): void;
  /** Runs in worktrees use the last sync for this long. Milliseconds. */
  syncFreshMs: number;
  /** How many worktrees are made ahead. */
  preparedWorktrees: number;
  /** For `collect`. */
  changeLimits: ChangeLimits;
  /** A kept patch is removed after this time. Milliseconds. */
  keepPatchesMs: number;
};

export type KeptPatch = { path: string; bytes: number };

export function unavailable(reason: string, cause?: unknown): ServiceError {
  return new ServiceError('workspace_unavailable', `Cannot prepare the workspace: ${reason}`, { cause });
}

/** Turns errors of git and of the file system into `workspace_unavailable`. After an abort it throws the signal's reason. */
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

/** Throws `workspace_unavailable` when a sync is required and did not succeed. */
export function checkRequired({ gitSync }: StageSettings, report: SyncReport): void {
  if (gitSync !== 'required' || report.state === 'synced' || report.state === 'unchanged') return;
  throw unavailable(`it could not be synced, and GIT_SYNC is required: ${report.detail ?? 'no reason was given'}`);
}

/** The id of a run, which names folders, files and branches. Throws `internal` when it could lead out of a folder. */
export function safeRunId(runId: string): string {
  if (/^[A-Za-z0-9_-]{1,128}$/.test(runId)) return runId;
  throw new ServiceError(
    'internal',
    'Cannot prepare the workspace: the id of the run is not made of letters, digits, _ and -',
  );
}
