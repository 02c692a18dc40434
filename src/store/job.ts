/** The words of jobs: their states, and the shapes of a request, a record, an event and an end. */
import type { ErrorCode } from '../errors.ts';
import type { Effort, Limits, ModelUsage, Owner, RunEvent, SyncReport, Usage, WorkspaceResult } from '../task.ts';

export type JobState = 'queued' | 'running' | 'completed' | 'failed' | 'timeout' | 'cancelled' | 'interrupted';

export type EndState = Exclude<JobState, 'queued' | 'running'>;

/** Which state may follow which. A running job becomes `queued` again when it is requeued. */
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

/** What happens to a job that is interrupted. `mark`: it ends as `interrupted`. `requeue`: it waits for another attempt. */
export type OnInterrupt = 'mark' | 'requeue';

/** Whether an interrupted job waits again. `maxAttempts`: how many times one job may be started. */
export function mayRunAgain(
  { onInterrupt, attempt, cancelRequestedAt }: Pick<JobRecord, 'onInterrupt' | 'attempt' | 'cancelRequestedAt'>,
  maxAttempts: number,
): boolean {
  return onInterrupt === 'requeue' && attempt < maxAttempts && cancelRequestedAt === undefined;
}

export type JobLimits = Limits & {
  /** The longest wait for a slot, in milliseconds; 0: no limit. */
  waitMs: number;
};

/** From -9 (last) to 9 (first); within one priority owners alternate. */
export type Priority = number;

/** A job as it was requested, with every default filled in. */
export type JobSpec = {
  prompt: string;
  owner: Owner;
  /** Name as `claude --model` takes it. */
  model: string;
  agent?: string;
  effort?: Effort;
  limits: JobLimits;
  /** The caller's own data, which the record repeats unchanged. */
  metadata?: Record<string, unknown>;
  /** The URL to which the final record is sent by POST. */
  callbackUrl?: string;
  priority: Priority;
  onInterrupt: OnInterrupt;
  /** `branch`: the changes of the job are committed and pushed to a branch of its own. */
  deliver?: 'branch';
  /** A second request of the same owner with the same key gets the same job. */
  idempotencyKey?: string;
};

export type JobError = { code: ErrorCode; message: string };

/** How far the delivery of a job's webhook to its `callbackUrl` has come. */
export type WebhookReport = {
  state: 'pending' | 'delivered' | 'gave_up';
  attempts: number;
  /** Milliseconds since 1970, as are all times in a record. */
  nextAttemptAt?: number;
  deliveredAt?: number;
  /** The HTTP status of the latest answer. */
  status?: number;
  /** Why the latest attempt failed. */
  detail?: string;
};

/** Everything that is recorded about a job, except its events and its patch. */
export type JobRecord = JobSpec & {
  /** A UUID; the order of the ids is the order of submission. */
  id: string;
  state: JobState;
  /** How many times it was started, which is the number of the latest attempt. */
  attempt: number;
  /** How many events are recorded, which is the number of the latest one. */
  events: number;
  createdAt: number;
  startedAt?: number;
  finishedAt?: number;
  cancelRequestedAt?: number;
  /** The text that the agent wrote, up to a bound; kept also when the job was interrupted. */
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
  /** Without the patch, which is stored apart. */
  workspace?: Omit<WorkspaceResult, 'patch'>;
  callback?: WebhookReport;
};

/** The events of a run, and those that the store adds to them. */
export type StoredEventBody =
  | RunEvent
  | { type: 'state'; state: JobState; attempt: number; error?: JobError; costUsd?: number; turns?: number }
  /** The bound on a job's events is reached: from here on only state changes are recorded. */
  | { type: 'events_full'; limit: number; unit: 'events' | 'bytes' };

/** Numbered per run from 1 without gaps. The event with an end state is the last one. `at`: milliseconds since 1970. */
export type StoredEvent = StoredEventBody & { seq: number; at: number };

/** How a job ended. */
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
  /** The `nextCursor` of the previous page. */
  cursor?: string;
};

/** A record without its long texts; only the beginning of the prompt. */
export type JobSummary = Omit<JobRecord, 'output' | 'stderr' | 'result'>;

/** Newest first. */
export type JobPage = { jobs: JobSummary[]; nextCursor?: string };
