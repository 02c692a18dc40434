/** The jobs of the server: submit, look up, follow and cancel them, and collect their changes. */
import type { Slots } from '../admission/slots.ts';
import { ServiceError } from '../errors.ts';
import { follow } from '../runs/follow.ts';
import type { EventBounds } from '../runs/log-writer.ts';
import { storedLog } from '../runs/stored-log.ts';
import type { JobFilter, JobPage, JobRecord, JobSummary, StoredEvent, WebhookReport } from '../store/job.ts';
import type { JobStore, OwnerLimits, Retention, SubmitOptions } from '../store/job-store.ts';
import type { Owner } from '../task.ts';
import { startWebhooks, type WebhookOptions } from '../webhooks/webhooks.ts';
import { startClaimedChat } from './claimed-chat.ts';
import { cancelledEnd, type ExecuteTask, startClaimedJob } from './claimed-job.ts';
import { Dispatcher } from './dispatcher.ts';
import { Hold, type HoldOptions } from './hold.ts';
import { startHousekeeping } from './housekeeping.ts';
import { fingerprintOf, type JobDefaults, type JobRequest, specOf } from './spec.ts';
import { WaitingCount } from './waiting-count.ts';

/** A job's record. For a queued job also its position in the queue. */
export type JobView = JobRecord & {
  /** The position in the queue, from 1. Undefined if the job is not queued. */
  position?: number;
  /** The expected wait in milliseconds, from how long earlier jobs took. Undefined if that is not known yet. */
  expectedWaitMs?: number;
};

export type ListedJobs = Omit<JobPage, 'jobs'> & { jobs: (JobPage['jobs'][number] & Pick<JobView, 'position'>)[] };

export type Jobs = {
  /**
   * Accepts a job. The job is on disk when this settles. If the owner has used the idempotency key before, `created` is
   * false and `job` is the earlier job. Throws `job_queue_full` (429, with `retryAfterSeconds`), `idempotency_conflict`
   * or `shutting_down`.
   */
  submit(request: JobRequest): Promise<{ job: JobView; created: boolean }>;
  /** Throws the error with which every job of this owner would be refused now: `job_queue_full` or `shutting_down`. */
  checkRoom(owner: Owner): Promise<void>;
  get(id: string): Promise<JobView | undefined>;
  /** Returns how many jobs wait. Returns `undefined` if the store does not answer soon. */
  waiting(): Promise<number | undefined>;
  /** Returns a page of jobs. Waiting jobs have their position. */
  list(filter: JobFilter): Promise<ListedJobs>;
  /**
   * Cancels a job. `never_started`: the job was waiting. `stopping`: its agent is being ended, which takes up to 5 s;
   * the job's events show the end. Throws `not_found` or `job_finished`.
   */
  cancel(id: string): Promise<{ result: 'never_started' | 'stopping'; job: JobRecord }>;
  /**
   * Returns the job's events after number `after`, and new ones as they happen. Ends after the job's last event, or
   * when `signal` aborts. Throws `not_found` before the first event.
   */
  events(id: string, options: { after?: number; signal: AbortSignal }): AsyncIterable<StoredEvent>;
  /** Returns the unified diff of the job's changes. Returns `undefined` if there is none. */
  patch(id: string): Promise<string | undefined>;
  /** Returns why jobs cannot be accepted (`store`), and why this process starts none (`held`). */
  problems(): { store: ServiceError | undefined; held: ServiceError | undefined };
  /** Returns the secret that signs the webhooks of this owner's jobs, in the form `whsec_...`. */
  webhookSecret(owner: Owner): string;
  /**
   * Accepts and starts no more jobs. Settles when the jobs that run in this process have ended. Waiting jobs stay in
   * the store.
   */
  drain(): Promise<void>;
  /** Ends the jobs that run in this process, as their `onInterrupt` says, and closes the store. May follow `drain`. */
  destroy(): Promise<void>;
};

export type JobsLog = {
  /** Called when the store cannot be reached, or fails. The operation is retried. */
  error(error: unknown): void;
  /** Called with the number of jobs that had been running on a server or worker that is gone. */
  recovered(count: number): void;
  webhookSent(job: JobRecord, report: WebhookReport): void;
} & Pick<HoldOptions, 'onHeld' | 'onFreed'>;

export type JobsOptions = {
  store: JobStore;
  /**
   * How this process runs jobs. Undefined on a gateway, which runs none. `chats`: it also runs chat requests of other
   * machines.
   */
  worker?: { slots: Pick<Slots, 'acquire'>; execute: ExecuteTask; chats: boolean } & Pick<
    HoldOptions,
    'check' | 'retryMs'
  >;
  defaults: JobDefaults;
  /**
   * The owner that is exempt from the limits in `ownerLimits`; only `maxWaiting` applies to its jobs. Undefined if no owner
   * is exempt.
   */
  operator?: Owner;
  maxWaiting: number;
  ownerLimits: OwnerLimits;
  maxAttempts: number;
  events: EventBounds;
  retention: Retention;
  webhooks: Pick<WebhookOptions, 'secretOf' | 'allowPrivate' | 'render' | 'waitsMs' | 'everyMs'>;
  /** Called with the ids of removed jobs, so that their kept patches can be removed too. */
  onRemoved?(ids: string[]): Promise<void> | void;
  log: JobsLog;
};

/** Recovers the jobs that an earlier process on this store had been running, then starts. */
export async function createJobs(options: JobsOptions): Promise<Jobs> {
  const { store, worker, maxAttempts, log } = options;
  const recovered = await store.recoverLost({ maxAttempts });
  if (recovered > 0) log.recovered(recovered);
  const hold = worker && new Hold({ ...worker, onHeld: log.onHeld, onFreed: log.onFreed });
  const housekeeping = startHousekeeping({
    store,
    maxAttempts,
    retention: options.retention,
    cause: () => hold?.cause?.error.message,
    onRemoved: (ids) => options.onRemoved?.(ids),
    onRecovered: log.recovered,
    onError: log.error,
  });
  const webhooks = startWebhooks({
    ...options.webhooks,
    store,
    onAttempt: log.webhookSent,
    onError: log.error,
  });
  const dispatchers = worker && hold ? startDispatchers(options, worker, hold) : [];
  return new StoredJobs(options, dispatchers, hold, async () => {
    await Promise.all([housekeeping.stop(), webhooks.stop()]);
    await store.close();
  });
}

function startDispatchers(
  { store, maxAttempts, events, log }: JobsOptions,
  { slots, execute, chats }: NonNullable<JobsOptions['worker']>,
  hold: Hold,
): Dispatcher[] {
  const jobs = new Dispatcher({
    kind: 'job',
    store,
    slots,
    permit: (signal) => hold.permit(signal),
    async claim(slot) {
      const job = await store.claim();
      return job && startClaimedJob(job, slot, { store, hold, execute, maxAttempts, events });
    },
    async requeue(claim) {
      if (!(await store.requeue(claim))) await store.finish(claim, { ...cancelledEnd, output: '', stderr: '' });
    },
    onError: log.error,
  });
  if (!chats) return [jobs];
  const others = new Dispatcher({
    kind: 'chat',
    store,
    slots,
    permit: (signal) => hold.defer(signal),
    async claim(slot) {
      const chat = await store.chats.claim();
      return chat && startClaimedChat(chat, slot, { chats: store.chats, execute });
    },
    async requeue(claim) {
      if (await store.chats.requeue(claim)) return;
      const { code, message } = new ServiceError('client_gone');
      await store.chats.finish(claim, { failure: { code, message, extra: {} } });
    },
    onError: log.error,
  });
  return [jobs, others];
}

class StoredJobs implements Jobs {
  readonly #options: JobsOptions;
  readonly #store: JobStore;
  readonly #waiting: WaitingCount;
  readonly #dispatchers: Dispatcher[];
  readonly #hold: Hold | undefined;
  readonly #close: () => Promise<void>;
  readonly #closing = new AbortController();
  #draining = false;
  #destroyed: Promise<void> | undefined;

  constructor(options: JobsOptions, dispatchers: Dispatcher[], hold: Hold | undefined, close: () => Promise<void>) {
    this.#options = options;
    this.#store = options.store;
    this.#waiting = new WaitingCount(options.store);
    this.#dispatchers = dispatchers;
    this.#hold = hold;
    this.#close = close;
  }

  async submit(request: JobRequest) {
    if (this.#draining) throw new ServiceError('shutting_down');
    const { job, created } = await this.#store.submit(specOf(request, this.#options.defaults), {
      ...this.#boundsOf(request.owner),
      fingerprint: fingerprintOf(request),
    });
    return { job: await this.#view(job), created };
  }

  async checkRoom(owner: Owner): Promise<void> {
    if (this.#draining) throw new ServiceError('shutting_down');
    await this.#store.checkRoom(owner, this.#boundsOf(owner));
  }

  #boundsOf(owner: Owner): Omit<SubmitOptions, 'fingerprint'> {
    const { operator, maxWaiting, ownerLimits } = this.#options;
    const limits = { ...ownerLimits, ...(operator !== undefined && { operator }) };
    return { maxWaiting, ...(owner !== operator && { ownerLimits: limits }) };
  }

  async get(id: string): Promise<JobView | undefined> {
    const job = await this.#store.get(id);
    return job && this.#view(job);
  }

  waiting(): Promise<number | undefined> {
    return this.#waiting.get();
  }

  async list(filter: JobFilter): Promise<ListedJobs> {
    const page = await this.#store.list(filter);
    if (!page.jobs.some(({ state }) => state === 'queued')) return page;
    const positions = await this.#store.positions();
    const jobs = page.jobs.map((job) => {
      if (job.state !== 'queued') return job;
      const position = positions.get(job.id);
      return { ...this.#withCause(job), ...(position !== undefined && { position }) };
    });
    return { ...page, jobs };
  }

  async cancel(id: string) {
    const cancelled = await this.#store.cancel(id);
    if (!cancelled) throw noSuchJob();
    const { result, job } = cancelled;
    if (result === 'finished') {
      throw new ServiceError('job_finished', `Cannot cancel the job: it has ended as ${job.state}`);
    }
    return { result, job };
  }

  async *events(id: string, { after = 0, signal }: { after?: number; signal: AbortSignal }) {
    if ((await this.#store.state(id)) === undefined) throw noSuchJob();
    yield* follow(storedLog(this.#store, id), after, AbortSignal.any([signal, this.#closing.signal]));
  }

  patch(id: string): Promise<string | undefined> {
    return this.#store.patch(id);
  }

  problems() {
    return { store: this.#store.problem, held: this.#hold?.cause?.error };
  }

  webhookSecret(owner: Owner): string {
    return this.#options.webhooks.secretOf(owner);
  }

  async drain(): Promise<void> {
    this.#draining = true;
    await Promise.all(this.#dispatchers.map((dispatcher) => dispatcher.drain()));
  }

  destroy(): Promise<void> {
    this.#draining = true;
    this.#destroyed ??= (async () => {
      await Promise.all(this.#dispatchers.map((dispatcher) => dispatcher.destroy()));
      this.#closing.abort();
      await this.#close();
    })();
    return this.#destroyed;
  }

  async #view(job: JobRecord): Promise<JobView> {
    if (job.state !== 'queued') return job;
    // A job that has left the queue since its record was read was the first in the queue.
    return { ...this.#withCause(job), ...((await this.#store.outlook(job.id)) ?? { position: 1 }) };
  }

  /** Adds why a queued job does not start, if its record does not say it. */
  #withCause<Job extends JobSummary>(job: Job): Job {
    const cause = this.#hold?.cause;
    if (job.state !== 'queued' || job.waitingFor || !cause) return job;
    const { code, message } = cause.error;
    return { ...job, waitingFor: { code, message, since: cause.since } };
  }
}

export function noSuchJob(): ServiceError {
  return new ServiceError('not_found', 'There is no such job: it never existed, or it is no longer kept');
}
