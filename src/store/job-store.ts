/**
 * The interface of the job store. A change is durable once it is acknowledged, unless the function's comment says
 * otherwise.
 */
import type { ServiceError } from '../errors.ts';
import type { Owner } from '../task.ts';
import type { ChatStore } from './chat-store.ts';
import type {
  JobEnd,
  JobFilter,
  JobPage,
  JobRecord,
  JobSpec,
  JobState,
  Setbacks,
  StoredEvent,
  WebhookReport,
} from './job.ts';
import type { Notifications } from './notifications.ts';
import type { Claim, NewEvent, RunKind } from './stored-run.ts';

/** The limits on the waiting jobs of every key except the operator's. */
export type OwnerLimits = {
  /** How many jobs of one key may wait. */
  maxWaitingPerKey: number;
  /** How many of the `maxWaiting` jobs are reserved for the operator's key. */
  reserved: number;
};

export type SubmitOptions = {
  maxWaiting: number;
  /**
   * The limits for a job of a key that is not the operator's. Undefined for a job of the operator, for which only
   * `maxWaiting` holds. `operator` is the owner whose key is the operator's; it is undefined if there is no such key.
   */
  ownerLimits?: OwnerLimits & { operator?: Owner };
  /**
   * A text that is the same for equal requests. A request is refused if its idempotency key was used with another
   * fingerprint.
   */
  fingerprint: string;
};

/**
 * The limits on finished jobs: how long they are kept, in milliseconds, how many are kept, and how many bytes they
 * take.
 */
export type Retention = {
  ttlMs: number;
  maxJobs: number;
  maxBytes: number;
};

/**
 * The position of a waiting job, counted from 1, and its expected wait, estimated from the duration of the latest jobs.
 */
export type Outlook = { position: number; expectedWaitMs?: number };

/**
 * The caller no longer holds the claims in `lost`, and must cancel the runs in `toStop`. The store says that the caller
 * also holds the claims in `unknown`, which the caller did not report.
 */
export type HeartbeatAnswer = { lost: Claim[]; toStop: Claim[]; unknown: Claim[] };

/**
 * The effect of a cancel. `never_started`: the job had not started and never will. `stopping`: its worker stops it now.
 * `finished`: it had ended before.
 */
export type CancelResult = 'never_started' | 'stopping' | 'finished';

export type JobStore = {
  readonly notifications: Notifications;
  readonly chats: ChatStore;
  /** Why the store cannot be used now, a `store_unavailable`. Undefined if its latest reads and writes succeeded. */
  readonly problem: ServiceError | undefined;
  /** Returns the time of the store's clock, in milliseconds since 1970. */
  now(): number;
  /** Writes something, so that `problem` shows whether the store can be written. Throws the error. */
  probe(): Promise<void>;
  /**
   * Adds a job. For a repeated request, `created` is `false` and `job` is the earlier job. Throws `job_queue_full` or
   * `idempotency_conflict`.
   */
  submit(spec: JobSpec, options: SubmitOptions): Promise<{ job: JobRecord; created: boolean }>;
  /** Throws `job_queue_full` if a job of this owner would be refused now. */
  checkRoom(owner: Owner, options: Omit<SubmitOptions, 'fingerprint'>): Promise<void>;
  get(id: string): Promise<JobRecord | undefined>;
  list(filter: JobFilter): Promise<JobPage>;
  countWaiting(): Promise<number>;
  /** Returns the positions of all waiting jobs, from 1, by id. */
  positions(): Promise<Map<string, number>>;
  /** Returns `undefined` if the job does not wait. */
  outlook(id: string): Promise<Outlook | undefined>;
  patch(id: string): Promise<string | undefined>;

  hasWaiting(kind: RunKind): Promise<boolean>;
  /**
   * Claims the next waiting job for this worker and returns it: the highest priority first, then the lowest round.
   * Returns `undefined` if no job waits.
   */
  claim(): Promise<JobRecord | undefined>;
  /**
   * Reports that the caller still works on these runs. The caller calls this about every second, with all its runs of
   * the kind.
   */
  heartbeat(kind: RunKind, claims: Claim[]): Promise<HeartbeatAnswer>;
  /**
   * Writes events with the numbers after `lastSeq`, the job's latest event number. A repeated call changes nothing. The
   * events survive a crash of the process. They survive a crash of the machine once a later change is acknowledged.
   * Returns `false` if the claim is not the run's latest claim.
   */
  appendEvents(claim: Claim, lastSeq: number, events: NewEvent[]): Promise<boolean>;
  /** Records how the job ended. Returns `false`, and writes nothing, if the claim is not the job's latest claim. */
  finish(claim: Claim, end: JobEnd): Promise<boolean>;
  /**
   * Lets a claimed job wait again. Returns `false` if the claim is not the job's latest, or if the job is to be
   * cancelled.
   * @param setbacks the setbacks of the job, if this attempt or an earlier one was one
   */
  requeue(claim: Claim, setbacks?: Setbacks): Promise<boolean>;
  /** Cancels the job, whether it waits or runs. Returns `undefined` if there is no such job. */
  cancel(id: string): Promise<{ result: CancelResult; job: JobRecord } | undefined>;

  /**
   * Returns at most `limit` events of a job or a chat request, in order, beginning after the event with number `after`.
   */
  events(id: string, after: number, limit: number): Promise<StoredEvent[]>;
  state(id: string): Promise<JobState | undefined>;

  /**
   * Recovers the runs whose worker is gone: a job waits again if `mayRunAgain` allows it, and every other run ends.
   * Returns how many runs it recovered.
   */
  recoverLost(limits: { maxAttempts: number }): Promise<number>;
  /**
   * Ends the runs that have waited too long. Returns how many runs it ended.
   * @param cause why no job starts now, for the errors of the jobs. Undefined if jobs start
   */
  expireWaiting(cause?: string): Promise<number>;
  /** Removes finished jobs with their events and patches, the oldest first. Returns their ids. */
  removeOld(retention: Retention): Promise<string[]>;

  /** Returns jobs whose webhook must be sent now. No other caller gets these jobs for `leaseMs` milliseconds. */
  takeDueWebhooks(limit: number, leaseMs: number): Promise<JobRecord[]>;
  recordWebhook(id: string, report: WebhookReport): Promise<void>;
  /**
   * Returns the secret with this name, which is the same for all processes that share the store. If there is no such
   * secret, stores `offered` and returns it.
   */
  keepSecret(name: string, offered: string): Promise<string>;
  close(): Promise<void>;
};
