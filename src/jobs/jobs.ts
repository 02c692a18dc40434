/** Jobs as the rest of the server sees them: hand one in, look at it, follow it, stop it, collect it. */

import type { Admission } from '../admission/slots.ts';
import { ServiceError } from '../errors.ts';
import type { CallbackReport, JobEvent, JobFilter, JobPage, JobRecord } from '../store/job.ts';
import type { JobStore, Retention, TenantBounds } from '../store/job-store.ts';
import type { Owner } from '../task.ts';
import { type CallbackOptions, startCallbacks } from '../webhooks/webhooks.ts';
import { createChatRun, type ExecuteChat } from './claimed-chat.ts';
import { createJobRun, type ExecuteJob } from './claimed-job.ts';
import { type Runner, startRunner } from './dispatcher.ts';
import { followJob } from './follow-job.ts';
import { startHousekeeping } from './housekeeping.ts';
import { fingerprintOf, type JobDefaults, type JobRequest, specOf } from './spec.ts';
import type { EventBounds } from './stored-log.ts';

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
   * idempotency key is given back. Throws `invalid_request` (with `param` by the field's name in `JobRequest`, such as
   * `callbackUrl` or `limits.runMs`), `job_queue_full` (429, with `retryAfterSeconds`), `idempotency_conflict` or
   * `shutting_down`.
   */
  submit(request: JobRequest): Promise<{ job: JobView; created: boolean }>;
  get(id: string): Promise<JobView | undefined>;
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
  /** What the callbacks of this owner's jobs are signed with, in the form `whsec_...`. */
  callbackSecret(owner: Owner): string;
  /** How many wait and run, on all machines that share the store. */
  counters(): Promise<{ queued: number; running: number }>;
  /** Takes no more jobs and starts none; settles when those that run here have ended. What waits stays in the store. */
  drain(): Promise<void>;
  /** Ends what runs here now, each by its `onInterrupt`, and closes the store. Also after `drain`. */
  destroy(): Promise<void>;
};

export type JobsLog = {
  /** The store could not be reached or answered with an error; it is tried again. */
  trouble(error: unknown): void;
  /** So many jobs had been running on a server or worker that is gone. */
  recovered(count: number): void;
  callbackTried(job: JobRecord, report: CallbackReport): void;
};

export type JobsOptions = {
  store: JobStore;
  /** What runs jobs in this process, and the chat requests of others; absent on a gateway. */
  worker?: { places: Admission; execute: ExecuteJob; executeChat?: ExecuteChat };
  defaults: JobDefaults;
  /** Whose jobs only `maxWaiting` bounds, and may go before those of others; absent: nobody's. */
  operator?: Owner;
  maxWaiting: number;
  tenants: TenantBounds;
  maxAttempts: number;
  events: EventBounds;
  retention: Retention;
  callbacks: Pick<CallbackOptions, 'secretOf' | 'allowPrivate' | 'render' | 'waitsMs' | 'everyMs'>;
  /** Told which jobs were removed, so that what else belongs to them can go too. */
  onRemoved?(ids: string[]): Promise<void> | void;
  log: JobsLog;
};

/** Takes over what an earlier process on this store has left, then starts. */
export async function createJobs(options: JobsOptions): Promise<Jobs> {
  const { store, maxAttempts, log } = options;
  const recovered = await store.recoverLost({ maxAttempts });
  if (recovered > 0) log.recovered(recovered);
  const housekeeping = startHousekeeping({
    store,
    maxAttempts,
    retention: options.retention,
    onRemoved: (ids) => options.onRemoved?.(ids),
    onRecovered: log.recovered,
    onError: log.trouble,
  });
  const callbacks = startCallbacks({
    ...options.callbacks,
    store,
    onAttempt: log.callbackTried,
    onError: log.trouble,
  });
  return new JobDesk(options, startRunners(options), async () => {
    await Promise.all([housekeeping.stop(), callbacks.stop()]);
    await store.close();
  });
}

function startRunners({ store, worker, maxAttempts, events, log }: JobsOptions): Runner[] {
  if (!worker) return [];
  const { places, execute, executeChat } = worker;
  const shared = { store, places, onError: log.trouble };
  const jobs = startRunner({
    ...shared,
    kind: 'job',
    async claim() {
      const job = await store.claim();
      return job && createJobRun(job, store, { execute, maxAttempts, events });
    },
    requeue: (claim) => store.requeue(claim),
  });
  if (!executeChat) return [jobs];
  const { chats } = store;
  const others = startRunner({
    ...shared,
    kind: 'chat',
    async claim() {
      const chat = await chats.claim();
      return chat && createChatRun(chat, chats, executeChat);
    },
    requeue: (claim) => chats.requeue(claim),
  });
  return [jobs, others];
}

class JobDesk implements Jobs {
  readonly #options: JobsOptions;
  readonly #store: JobStore;
  readonly #runners: Runner[];
  readonly #close: () => Promise<void>;
  readonly #closing = new AbortController();
  #draining = false;
  #destroyed: Promise<void> | undefined;

  constructor(options: JobsOptions, runners: Runner[], close: () => Promise<void>) {
    this.#options = options;
    this.#store = options.store;
    this.#runners = runners;
    this.#close = close;
  }

  async submit(request: JobRequest) {
    if (this.#draining) {
      throw new ServiceError('shutting_down', 'Cannot take the job: the server is stopping', { retryAfterSeconds: 5 });
    }
    const { defaults, callbacks, operator, maxWaiting, tenants } = this.#options;
    const ofOperator = request.owner === operator;
    const maxPriority = ofOperator ? 9 : 0;
    const spec = specOf(request, defaults, { maxPriority, allowPrivateCallbacks: callbacks.allowPrivate });
    const { job, created } = await this.#store.submit(spec, {
      maxWaiting,
      ...(ofOperator ? {} : { tenant: { ...tenants, ...(operator !== undefined && { operator }) } }),
      fingerprint: fingerprintOf(request),
    });
    return { job: await this.#view(job), created };
  }

  async get(id: string): Promise<JobView | undefined> {
    const job = await this.#store.get(id);
    return job && this.#view(job);
  }

  list(filter: JobFilter): Promise<JobPage> {
    return this.#store.list(filter);
  }

  async cancel(id: string) {
    const cancelled = await this.#store.cancel(id);
    if (!cancelled) throw unknownJob();
    const { did, job } = cancelled;
    if (did === 'finished')
      throw new ServiceError('job_finished', `Cannot cancel the job: it has ended as ${job.state}`);
    return { did, job };
  }

  async *events(id: string, { after = 0, signal }: { after?: number; signal: AbortSignal }) {
    if ((await this.#store.state(id)) === undefined) throw unknownJob();
    yield* followJob(this.#store, id, { after, signal: AbortSignal.any([signal, this.#closing.signal]) });
  }

  patch(id: string): Promise<string | undefined> {
    return this.#store.patch(id);
  }

  callbackSecret(owner: Owner): string {
    return this.#options.callbacks.secretOf(owner);
  }

  counters() {
    return this.#store.counters();
  }

  async drain(): Promise<void> {
    this.#draining = true;
    await Promise.all(this.#runners.map((runner) => runner.drain()));
  }

  destroy(): Promise<void> {
    this.#draining = true;
    this.#destroyed ??= (async () => {
      await Promise.all(this.#runners.map((runner) => runner.destroy()));
      this.#closing.abort();
      await this.#close();
    })();
    return this.#destroyed;
  }

  async #view(job: JobRecord): Promise<JobView> {
    if (job.state !== 'queued') return job;
    // One that has left the queue since it was read had been at its head.
    return { ...job, ...((await this.#store.outlook(job.id)) ?? { position: 1 }) };
  }
}

function unknownJob(): ServiceError {
  return new ServiceError('not_found', 'There is no such job: it never was, or it is no longer kept');
}
