/** The interface of the job store. A change that it acknowledges is durable, unless the comment of the function says otherwise. */
import type { Owner } from '../task.ts';
import type { ChatStore } from './chat-store.ts';
import type { JobEnd, JobFilter, JobPage, JobRecord, JobSpec, JobState, StoredEvent, WebhookReport } from './job.ts';
import type { Notifications } from './notifications.ts';
import type { Claim, NewEvent, RunKind } from './stored-run.ts';

/** The bounds of every key except the operator's. */
export type TenantBounds = {
  /** How many jobs of one key may wait. */
  maxWaitingPerKey: number;
  /** How many of the jobs that may wait are reserved for the operator's key. */
  reserved: number;
};

export type SubmitOptions = {
  maxWaiting: number;
  /** Absent: the job is the operator's, and only `maxWaiting` holds. */
  tenant?: TenantBounds & { operator?: Owner };
  /** Equal for equal requests. A repeat with the same idempotency key but another fingerprint is refused. */
  fingerprint: string;
};

/** How long finished jobs are kept, in milliseconds, and how many of them, and how many bytes. */
export type Retention = {
  ttlMs: number;
  maxJobs: number;
  maxBytes: number;
};

/** The position of a waiting job, from 1, and its expected wait, by how long the latest jobs took. */
export type Outlook = { position: number; expectedWaitMs?: number };

/** `lost`: not the caller's any more. `toStop`: to be cancelled. `unknown`: the store says that the caller runs them too. */
export type HeartbeatAnswer = { lost: Claim[]; toStop: Claim[]; unknown: Claim[] };

/** The effect of a cancel: the job had not started and never will, its worker stops it now, or it had ended before. */
export type CancelResult = 'never_started' | 'stopping' | 'finished';

export type JobStore = {
  readonly notifications: Notifications;
  readonly chats: ChatStore;
  /** `created: false`: a repeat, and the job is the earlier one. Throws `job_queue_full` or `idempotency_conflict`. */
  submit(spec: JobSpec, options: SubmitOptions): Promise<{ job: JobRecord; created: boolean }>;
  get(id: string): Promise<JobRecord | undefined>;
  list(filter: JobFilter): Promise<JobPage>;
  /** `undefined`: it does not wait. */
  outlook(id: string): Promise<Outlook | undefined>;
  patch(id: string): Promise<string | undefined>;

  hasWaiting(kind: RunKind): Promise<boolean>;
  /** The next job by priority and round, which now runs on this worker; `undefined`: none waits. */
  claim(): Promise<JobRecord | undefined>;
  /** Reports that the caller still works on these runs. To be called about every second with all runs of the kind. */
  heartbeat(kind: RunKind, claims: Claim[]): Promise<HeartbeatAnswer>;
  /**
   * Writes events under the numbers after `lastSeq`, the latest number of the job; a repeat of the same call changes
   * nothing. They survive a crash of the process, and a crash of the machine once a later change is acknowledged.
   * `false`: the claim is not the latest.
   */
  appendEvents(claim: Claim, lastSeq: number, events: NewEvent[]): Promise<boolean>;
  /** `false`: the claim is not the latest, and nothing was written. */
  finish(claim: Claim, end: JobEnd): Promise<boolean>;
  /** Lets an interrupted job wait again. `false`: the claim is not the latest. */
  requeue(claim: Claim): Promise<boolean>;
  /** `undefined`: there is no such job. */
  cancel(id: string): Promise<{ result: CancelResult; job: JobRecord } | undefined>;

  /** At most `limit` events of a job or a chat request after number `after`, in order. */
  events(id: string, after: number, limit: number): Promise<StoredEvent[]>;
  state(id: string): Promise<JobState | undefined>;

  /** Recovers the runs whose worker is gone: by `mayRunAgain` they wait again or end. Returns how many there were. */
  recoverLost(limits: { maxAttempts: number }): Promise<number>;
  /** Ends the runs that have waited too long. Returns how many there were. */
  expireWaiting(): Promise<number>;
  /** Removes finished jobs with their events and patches, the oldest first. Returns their ids. */
  removeOld(retention: Retention): Promise<string[]>;

  /** Jobs whose webhook is to be sent now; no other caller gets them for `leaseMs` milliseconds. */
  takeDueWebhooks(limit: number, leaseMs: number): Promise<JobRecord[]>;
  recordWebhook(id: string, report: WebhookReport): Promise<void>;
  /** The secret of this name, the same for all that share the store. If there is none, it becomes the offered one. */
  keepSecret(name: string, offered: string): Promise<string>;
  close(): Promise<void>;
};
