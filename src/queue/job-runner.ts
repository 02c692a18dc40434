/** Runs jobs on the places of this process: claims one whenever there is work and a place for it. */
import { ServiceError } from '../errors.ts';
import type { EventBounds } from './event-log.ts';
import { type ExecuteJob, JobRun } from './job-run.ts';
import type { JobStore } from './job-store.ts';
import type { Admission } from './places.ts';
import { Bell } from './wake-ups.ts';

export type JobRunnerOptions = {
  store: JobStore;
  places: Admission;
  execute: ExecuteJob;
  /** How many times one job may be started. */
  maxAttempts: number;
  events: EventBounds;
  /** Told what went wrong between the server and its store; the work goes on. */
  onTrouble(error: unknown): void;
};

export type JobRunner = {
  /** Starts no more jobs; settles when those that run have ended and that is in the store. */
  drain(): Promise<void>;
  /** Ends those that run; settles when that is in the store, or after `giveUpMs` without it. */
  destroy(giveUpMs?: number): Promise<void>;
};

/** A wake-up may be lost on its way from another process; then this is how late it is noticed. Milliseconds. */
const pollMs = 1000;
const longestRetryMs = 5000;

export function startJobRunner(options: JobRunnerOptions): JobRunner {
  return new Runner(options);
}

class Runner implements JobRunner {
  readonly #options: JobRunnerOptions;
  readonly #runs = new Map<JobRun, Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #bell: Bell;
  readonly #claiming: Promise<void>;
  readonly #heartbeat: NodeJS.Timeout;

  constructor(options: JobRunnerOptions) {
    this.#options = options;
    this.#bell = new Bell(options.store.wakeUps, 'work');
    this.#heartbeat = setInterval(() => this.#beat(), pollMs);
    this.#claiming = this.#claimUntilStopped();
  }

  async drain(): Promise<void> {
    this.#stopping.abort(new Error('The job runner stops'));
    await this.#claiming;
    await Promise.all(this.#runs.values());
    clearInterval(this.#heartbeat);
    this.#bell.close();
  }

  async destroy(giveUpMs = 10_000): Promise<void> {
    const drained = this.drain();
    await this.#claiming;
    for (const run of this.#runs.keys()) run.interrupt();
    const giveUp = setTimeout(() => {
      for (const run of this.#runs.keys()) run.abandon();
    }, giveUpMs);
    await drained;
    clearTimeout(giveUp);
  }

  async #claimUntilStopped(): Promise<void> {
    const { signal } = this.#stopping;
    let retryMs = 100;
    while (!signal.aborted) {
      try {
        const started = (await this.#options.store.hasWaiting()) && (await this.#startNext(signal));
        if (!started) await this.#bell.wait(pollMs, signal);
        retryMs = 100;
      } catch (error) {
        if (signal.aborted || isClosed(error)) return;
        this.#options.onTrouble(error);
        await this.#bell.wait(retryMs, signal);
        retryMs = Math.min(longestRetryMs, retryMs * 2);
      }
    }
  }

  /** The place first: a job that is claimed runs at once, and until then any other process may have it. */
  async #startNext(signal: AbortSignal): Promise<boolean> {
    const { store, places, execute } = this.#options;
    // Jobs take turns in the store, so here they are one.
    const candidate = { id: 'next job', kind: 'job', owner: 'jobs' } as const;
    const giveBack = await places.admit(candidate, { signal, whenBusy: 'wait' });
    const job = await store.claim().catch(async (error: unknown) => {
      await giveBack();
      throw error;
    });
    if (!job) {
      await giveBack();
      return false;
    }
    const run = new JobRun(job, store, this.#options);
    const off = store.wakeUps.on(`cancel:${job.id}`, () => this.#beat());
    const ended = run
      .run(execute)
      .catch(this.#options.onTrouble)
      .finally(() => {
        off();
        this.#runs.delete(run);
        return giveBack();
      });
    this.#runs.set(run, ended);
    return true;
  }

  /** Says that the runs go on, and hears of those that do not: also of a cancel whose wake-up was lost. */
  async #beat(): Promise<void> {
    if (this.#runs.size === 0) return;
    const runs = [...this.#runs.keys()];
    try {
      const { lost, toStop } = await this.#options.store.heartbeat(runs.map(({ claim }) => claim));
      for (const run of runs) {
        // One that ended meanwhile is rightly not found running.
        if (!this.#runs.has(run)) continue;
        if (lost.includes(run.claim)) run.lose();
        else if (toStop.includes(run.claim)) run.cancel();
      }
    } catch (error) {
      this.#options.onTrouble(error);
    }
  }
}

/** The places take nobody any more. */
function isClosed(error: unknown): boolean {
  return error instanceof ServiceError && error.code === 'shutting_down';
}
