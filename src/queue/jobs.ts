/** Jobs as the rest of the server sees them: hand one in, look at it, follow it, stop it, collect it. */
import type { JobEvent, JobFilter, JobPage, JobRecord, JobSpec } from './job.ts';

/** What a caller gives; whatever is left out takes the default of the settings. */
export type JobRequest = Pick<JobSpec, 'prompt' | 'owner' | 'model'> &
  Partial<Omit<JobSpec, 'prompt' | 'owner' | 'model' | 'limits'>> & { limits?: Partial<JobSpec['limits']> };

/** A record, and for a queued job where it stands. */
export type JobView = JobRecord & {
  /** From 1. */
  position?: number;
  /** From how long runs really took; absent while that is not known. Milliseconds. */
  expectedWaitMs?: number;
};

export type Jobs = {
  /**
   * Takes a job; it is durable when this settles. `created` is false when an earlier job with the same owner and
   * idempotency key is given back. Throws `invalid_request` (with `param`: `callbackUrl`, `priority` or `limits.*`),
   * `job_queue_full` (429, with `retryAfterSeconds`), `idempotency_conflict` or `shutting_down`.
   */
  submit(request: JobRequest): Promise<{ job: JobView; created: boolean }>;
  get(id: string): Promise<JobView | undefined>;
  /** Throws `invalid_request` (with `param`: `cursor`). */
  list(filter: JobFilter): Promise<JobPage>;
  /**
   * `never_started`: it was waiting and is cancelled. `stopping`: its agent is being ended, which takes up to 5 s and is
   * told by the job's events. Throws `not_found` or `job_finished`.
   */
  cancel(id: string): Promise<{ did: 'never_started' | 'stopping'; job: JobRecord }>;
  /**
   * Every event after number `after` (0: from the first), past ones first, then as they happen; ends after the job's
   * last event, or when `signal` aborts. Throws `not_found` before the first event.
   */
  events(id: string, options: { after?: number; signal: AbortSignal }): AsyncIterable<JobEvent>;
  /** The unified diff of what the job changed; `undefined` when there is none. */
  patch(id: string): Promise<string | undefined>;
  /** How many wait and run, on all machines that share the store. */
  counters(): Promise<{ queued: number; running: number }>;
  /** Takes no more jobs and starts none; settles when those that run here have ended. What waits stays in the store. */
  drain(): Promise<void>;
  /** Ends what runs here now, each by its `onInterrupt`, and closes the store. Also after `drain`. */
  destroy(): Promise<void>;
};
