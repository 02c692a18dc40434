/** The vocabulary of jobs: what is asked for, what is recorded, what is told while it happens, and the states. */
import type { ErrorCode } from '../errors.ts';
import type { Effort, Limits, ModelUsage, Owner, RunEvent, SyncReport, Usage, WorkspaceResult } from '../task.ts';

export type JobState = 'queued' | 'running' | 'completed' | 'failed' | 'timeout' | 'cancelled' | 'interrupted';

export type EndState = Exclude<JobState, 'queued' | 'running'>;

/** What may follow what; a running job is queued again when it was interrupted and is to be repeated, or handed back. */
const transitions: Record<JobState, readonly JobState[]> = {
  queued: ['running', 'timeout', 'cancelled'],
  running: ['completed', 'failed', 'timeout', 'cancelled', 'interrupted', 'queued'],
  completed: [],
  failed: [],
  timeout: [],
  cancelled: [],
  interrupted: [],
};

export function mayFollow(from: JobState, to: JobState): boolean {
  return transitions[from].includes(to);
}

export function isEndState(state: JobState): state is EndState {
  return transitions[state].length === 0;
}

/** `mark`: the job ends as `interrupted`. `requeue`: it waits again, as a further attempt. */
export type OnInterrupt = 'mark' | 'requeue';

export type JobLimits = Limits & {
  /** The longest wait for a place, in milliseconds; 0 means no such limit. */
  waitMs: number;
};

/** From -9 (last) to 9 (first); within one priority owners take turns. */
export type Priority = number;

/** A job as it is asked for, every default filled in. */
export type JobSpec = {
  prompt: string;
  owner: Owner;
  /** Name as `claude --model` takes it. */
  model: string;
  agent?: string;
  effort?: Effort;
  limits: JobLimits;
  /** The caller's own facts, given back as they came. */
  metadata?: Record<string, unknown>;
  /** Gets a POST of the final record. */
  callbackUrl?: string;
  priority: Priority;
  onInterrupt: OnInterrupt;
  /** `branch`: commit what the job changed and push it to a branch of its own. */
  deliver?: 'branch';
  /** A repeat by the same owner with the same key is the same job. */
  idempotencyKey?: string;
};

export type JobError = { code: ErrorCode; message: string };

/** How the telling of a job's end to its `callbackUrl` goes. */
export type CallbackReport = {
  state: 'pending' | 'delivered' | 'gave_up';
  attempts: number;
  /** Milliseconds since 1970, as are all times in a record. */
  nextAttemptAt?: number;
  deliveredAt?: number;
  /** The answer to the latest attempt, or why there was none. */
  status?: number;
  detail?: string;
};

/** What is known of a job. */
export type JobRecord = JobSpec & {
  /** A UUID whose order is the order of submission. */
  id: string;
  state: JobState;
  /** How many times it was started. */
  attempt: number;
  /** How many events are recorded, which is the number of the latest one. */
  events: number;
  createdAt: number;
  startedAt?: number;
  finishedAt?: number;
  cancelRequestedAt?: number;
  /** Everything the agent wrote as text, bounded; kept also when the job was interrupted. */
  output: string;
  stderr: string;
  exitCode?: number;
  /** The agent's final answer. */
  result?: string;
  usage?: Usage;
  models?: Record<string, ModelUsage>;
  costUsd?: number;
  turns?: number;
  sessionId?: string;
  error?: JobError;
  sync?: SyncReport;
  /** Without the patch, which `Jobs.patch` gives. */
  workspace?: Omit<WorkspaceResult, 'patch'>;
  callback?: CallbackReport;
};

/** What the store adds to the events of a run. */
export type StoredEventBody =
  | RunEvent
  | { type: 'state'; state: JobState; attempt: number; error?: JobError; costUsd?: number; turns?: number }
  /** The bound on a job's events was reached: from here on only state changes are recorded. */
  | { type: 'events_full'; limit: number; unit: 'events' | 'bytes' };

/** Numbered per run from 1 without gaps. An event with an end state is the last one. `at`: milliseconds since 1970. */
export type StoredEvent = StoredEventBody & { seq: number; at: number };

/** How a job ended, as its runner tells the store. */
export type JobEnd = {
  state: EndState;
  error?: JobError;
} & Pick<
  JobRecord,
  'output' | 'stderr' | 'exitCode' | 'result' | 'usage' | 'models' | 'costUsd' | 'turns' | 'sessionId' | 'sync'
> & { workspace?: WorkspaceResult };

export type JobFilter = {
  state?: JobState;
  agent?: string;
  owner?: Owner;
  /** 1 to 200. */
  limit: number;
  /** The `nextCursor` of the page before. */
  cursor?: string;
};

/** A record without its long texts; the prompt is its beginning. */
export type JobSummary = Omit<JobRecord, 'output' | 'stderr' | 'result'>;

/** Newest first. */
export type JobPage = { jobs: JobSummary[]; nextCursor?: string };
