/** What an engine of the job store offers. Everything it acknowledges is durable unless it says otherwise. */

import type { Owner } from '../task.ts';
import type { ChatStore } from './chat-store.ts';
import type {
  CallbackReport,
  JobEnd,
  JobFilter,
  JobPage,
  JobRecord,
  JobSpec,
  JobState,
  StoredEvent,
  StoredEventBody,
} from './job.ts';
import type { Notifications } from './notifications.ts';

/** A `chat` request that waits for a place on any machine lies in the store like a job, for as long as its client waits. */
export type RunKind = 'job' | 'chat';

/** One start of a job. Whoever shows a claim that is no longer the job's latest is refused. */
export type Claim = { id: string; attempt: number };

export type NewEvent = { at: number; body: StoredEventBody };

/** What holds for all keys but the operator's. */
export type TenantBounds = {
  /** How many jobs of one key may wait. */
  maxWaitingPerKey: number;
  /** How many of all that may wait are kept for the operator's. */
  reserved: number;
};

export type SubmitOptions = {
  maxWaiting: number;
  /** Absent: the job is the operator's, and only `maxWaiting` holds. */
  tenant?: TenantBounds & { operator?: Owner };
  /** Tells whether a repeat with the same idempotency key is the same request. */
  fingerprint: string;
};

export type Retention = {
  ttlMs: number;
  maxJobs: number;
  maxBytes: number;
};

/** Where a waiting job stands, from 1, and its wait by how long the latest jobs really ran. */
export type Outlook = { position: number; expectedWaitMs?: number };

export type JobStore = {
  /** Rings for whoever follows a job, waits for work, or runs a job that is to be stopped. */
  readonly notifications: Notifications;
  readonly chats: ChatStore;
  /** Throws `job_queue_full` or `idempotency_conflict`. */
  submit(spec: JobSpec, options: SubmitOptions): Promise<{ job: JobRecord; created: boolean }>;
  get(id: string): Promise<JobRecord | undefined>;
  list(filter: JobFilter): Promise<JobPage>;
  /** `undefined`: it does not wait. */
  outlook(id: string): Promise<Outlook | undefined>;
  patch(id: string): Promise<string | undefined>;
  counters(): Promise<{ queued: number; running: number }>;

  hasWaiting(kind: RunKind): Promise<boolean>;
  /** The next job by priority and turn, now running under this worker's name; `undefined`: none waits. */
  claim(): Promise<JobRecord | undefined>;
  /**
   * Says that these runs go on, and tells which of them are no longer the caller's, which are to be stopped, and what
   * else is held to run here. To be called about every second with all runs of the kind.
   */
  heartbeat(kind: RunKind, claims: Claim[]): Promise<{ lost: Claim[]; toStop: Claim[]; unknown: Claim[] }>;
  /**
   * Writes events under the numbers after `lastSeq`, the job's latest; a repeat of the same call changes nothing.
   * Survives a crash of the process, and of the machine once a later acknowledgement is out. `false`: not the
   * caller's any more.
   */
  appendEvents(claim: Claim, lastSeq: number, events: NewEvent[]): Promise<boolean>;
  /** `false`: not the caller's any more, and nothing was written. */
  finish(claim: Claim, end: JobEnd): Promise<boolean>;
  /** Lets an interrupted run wait again. `false`: not the caller's any more. */
  requeue(claim: Claim): Promise<boolean>;
  cancel(id: string): Promise<{ did: 'never_started' | 'stopping' | 'finished'; job: JobRecord } | undefined>;

  /** In order, those after number `after`. */
  events(id: string, after: number, limit: number): Promise<StoredEvent[]>;
  state(id: string): Promise<JobState | undefined>;

  /** Ends or queues again, by their `onInterrupt`, the jobs whose worker is gone. The answer counts them. */
  recoverLost(limits: { maxAttempts: number }): Promise<number>;
  /** Ends the jobs that have waited too long. The answer counts them. */
  expireWaiting(): Promise<number>;
  /** Removes finished jobs with their events and patches, the oldest first; tells which. */
  removeOld(retention: Retention): Promise<string[]>;

  /** Callbacks to be tried now; nobody else is given them for `leaseMs`. */
  takeCallbacks(limit: number, leaseMs: number): Promise<JobRecord[]>;
  recordCallback(id: string, report: CallbackReport): Promise<void>;
  /** The secret of this name, the same for all that share the store; where there is none yet, the one that is offered. */
  keepSecret(name: string, offered: string): Promise<string>;
  close(): Promise<void>;
};
