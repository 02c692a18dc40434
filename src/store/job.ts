/** The types of jobs: their states, requests, records, events and ends. */
import type { ErrorCode } from '../errors.ts';
import type {
  Denial,
  Effort,
  Limits,
  ModelUsage,
  Owner,
  RunEvent,
  SyncReport,
  Usage,
  WorkspaceResult,
} from '../task.ts';

export type JobState = 'queued' | 'running' | 'completed' | 'failed' | 'timeout' | 'cancelled' | 'interrupted';

export type EndState = Exclude<JobState, 'queued' | 'running'>;

/** The states that may follow each state. A running job becomes `queued` again when it is requeued. */
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

/**
 * What happens to an interrupted job. With `mark` it ends as `interrupted`. With `requeue` it waits for another
 * attempt.
 */
export type OnInterrupt = 'mark' | 'requeue';

export type JobLimits = Limits & {
  /** The longest wait for a slot, in milliseconds. 0 means that there is no limit. */
  waitMs: number;
};

/** A number from -9 (served last) to 9 (served first). Jobs of the same priority alternate between their owners. */
export type Priority = number;

/** A job as it was requested, with every default filled in. */
export type JobSpec = {
  prompt: string;
  owner: Owner;
  /** The name of the model, as `claude --model` takes it. */
  model: string;
  agent?: string;
  effort?: Effort;
  limits: JobLimits;
  /** The client's own data, which the record repeats unchanged. */
  metadata?: Record<string, unknown>;
  /** The URL to which the final record is sent by POST. */
  callbackUrl?: string;
  priority: Priority;
  onInterrupt: OnInterrupt;
  /** With `branch`, the job's changes are committed and pushed to a new branch. */
  deliver?: 'branch';
  /** A second request from the same owner with the same key gets the same job. */
  idempotencyKey?: string;
};

export type JobError = { code: ErrorCode; message: string };

export const cancelledWhileRunning: JobError = { code: 'cancelled', message: 'The job was cancelled while it ran' };

/** The state of the delivery of a job's webhook to its `callbackUrl`. */
export type WebhookReport = {
  state: 'pending' | 'delivered' | 'gave_up';
  attempts: number;
  /** The time of the next attempt, in milliseconds since 1970, as are all times in a record. */
  nextAttemptAt?: number;
  deliveredAt?: number;
  /** The HTTP status of the receiver's latest answer. */
  status?: number;
  /** Why the latest attempt failed. */
  detail?: string;
};

/** Everything that is recorded about a job, except its events and its patch. */
export type JobRecord = JobSpec & {
  /** A UUID. The order of the ids is the order in which the jobs were submitted. */
  id: string;
  state: JobState;
  /** How many times the job was started. This is also the number of the latest attempt. */
  attempt: number;
  /** How many events are recorded. This is also the number of the latest event. */
  lastSeq: number;
  createdAt: number;
  startedAt?: number;
  finishedAt?: number;
  cancelRequestedAt?: number;
  /** The text that the agent wrote, up to a limit. It is kept even if the job was interrupted. */
  output: string;
  stderr: string;
  exitCode?: number;
  /** The agent's final answer. */
  result?: string;
  usage?: Usage;
  models?: Record<string, ModelUsage>;
  costUsd?: number;
  turns?: number;
  denials?: Denial[];
  sessionId?: string;
  error?: JobError;
  sync?: SyncReport;
  /** The job's changes and their delivery, without the patch, which is stored separately. */
  workspace?: Omit<WorkspaceResult, 'patch'>;
  callback?: WebhookReport;
} & Setbacks;

/** What is recorded about the attempts of a job that ended before the agent began to work. */
export type Setbacks = {
  /** How many such attempts there were. They do not count for the limit on attempts. */
  emptyAttempts?: number;
  /** Why the latest of them failed. A queued job waits until this cause is gone. */
  waitingFor?: WaitCause;
  /** Before this time the job is not started again, in milliseconds since 1970. */
  notBefore?: number;
};

/** Why a job waits although a slot may be free. `since` is in milliseconds since 1970. */
export type WaitCause = JobError & { since: number };

/** The events of a run, and the further events that are stored with them. */
export type StoredEventBody =
  | RunEvent
  | { type: 'state'; state: JobState; attempt: number; error?: JobError; costUsd?: number; turns?: number }
  /** The limit on a job's events is reached. After this event, only state changes are recorded. */
  | { type: 'events_full'; limit: number; unit: 'events' | 'bytes' };

/**
 * An event of a run. `seq` counts from 1 without gaps, and the event with an end state is the last one. `at` is the
 * time in milliseconds since 1970.
 */
export type StoredEvent = StoredEventBody & { seq: number; at: number };

/** How a job ended. */
export type JobEnd = {
  state: EndState;
  error?: JobError;
} & Pick<
  JobRecord,
  | 'output'
  | 'stderr'
  | 'exitCode'
  | 'result'
  | 'usage'
  | 'models'
  | 'costUsd'
  | 'turns'
  | 'denials'
  | 'sessionId'
  | 'sync'
> & { workspace?: WorkspaceResult };

export type JobFilter = {
  state?: JobState;
  agent?: string;
  owner?: Owner;
  /** The beginning of the ids, in lower case. */
  idPrefix?: string;
  /** How many jobs to return, from 1 to 200. */
  limit: number;
  /** The `nextCursor` of the previous page. Undefined for the first page. */
  cursor?: string;
};

/** A record without its long texts. Only the beginning of the prompt is included. */
export type JobSummary = Omit<JobRecord, 'output' | 'stderr' | 'result'>;

/** One page of jobs, the newest first. `nextCursor` is undefined on the last page. */
export type JobPage = { jobs: JobSummary[]; nextCursor?: string };
