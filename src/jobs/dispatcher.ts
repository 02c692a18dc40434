/** Runs what waits in the store on the places of this process: claims whenever there is work and a place for it. */

import type { Admission } from '../admission/slots.ts';
import { ServiceError } from '../errors.ts';
import type { Claim, JobStore, RunKind } from '../store/job-store.ts';
import { Bell } from '../store/notifications.ts';

/** One start of what was claimed. */
export type Run = {
  readonly claim: Claim;
  /** Settles when its end is in the store, or is not ours to write. */
  run(): Promise<void>;
  cancel(): void;
  /** The server stops. */
  interrupt(): void;
  /** Another has it now, or will have: nothing of this run counts any more. */
  lose(): void;
  /** The store is not coming back in time. */
  abandon(): void;
};

export type RunnerOptions = {
  kind: RunKind;
  store: Pick<JobStore, 'hasWaiting' | 'heartbeat' | 'notifications'>;
  places: Admission;
  /** Takes the next one; `undefined`: none waits. */
  claim(): Promise<Run | undefined>;
  /** Lets one wait again that was claimed for us but never reached us. */
  requeue(claim: Claim): Promise<unknown>;
  /** Told what went wrong between the server and its store; the work goes on. */
  onError(error: unknown): void;
};

export type Runner = {
  /** Starts nothing more; settles when what runs has ended and that is in the store. */
  drain(): Promise<void>;
  /** Ends what runs; settles when that is in the store, or after `giveUpMs` without it. */
  destroy(giveUpMs?: number): Promise<void>;
};

/** A wake-up may be lost on its way from another process; then this is how late it is noticed. Milliseconds. */
const pollMs = 1000;
const longestRetryMs = 5000;

export function startRunner(options: RunnerOptions): Runner {
  return new PlacedRunner(options);
}

class PlacedRunner implements Runner {
  readonly #options: RunnerOptions;
  readonly #runs = new Map<Run, Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #bell: Bell;
  readonly #claiming: Promise<void>;
  readonly #heartbeat: NodeJS.Timeout;
  /** A claim failed on its way: it may have been granted. */
  #unsure = false;
  #strays = new Set<string>();

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#bell = new Bell(options.store.notifications, 'work');
    this.#heartbeat = setInterval(() => this.#beat(), pollMs);
    this.#claiming = this.#claimUntilStopped();
  }

  async drain(): Promise<void> {
    this.#stopping.abort(new Error('The runner stops'));
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
    const { kind, store, onError } = this.#options;
    let retryMs = 100;
    while (!signal.aborted) {
      try {
        const started = (await store.hasWaiting(kind)) && (await this.#startNext(signal));
        if (!started) await this.#bell.wait(pollMs, signal);
        retryMs = 100;
      } catch (error) {
        if (signal.aborted || isClosed(error)) return;
        onError(error);
        await this.#bell.wait(retryMs, signal);
        retryMs = Math.min(longestRetryMs, retryMs * 2);
      }
    }
  }

  /** The place first: what is claimed runs at once, and until then any other process may have it. */
  async #startNext(signal: AbortSignal): Promise<boolean> {
    const { kind, store, places, onError } = this.#options;
    // Owners take turns in the store, so here they are one.
    const giveBack = await places.admit({ id: `next ${kind}`, kind, owner: 'store' }, { signal, whenBusy: 'wait' });
    const run = await this.#options.claim().catch(async (error: unknown) => {
      this.#unsure = true;
      await giveBack();
      throw error;
    });
    if (!run) {
      await giveBack();
      return false;
    }
    const off = store.notifications.on(`cancel:${run.claim.id}`, () => this.#beat());
    const ended = run
      .run()
      .catch(onError)
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
    if (this.#runs.size === 0 && !this.#unsure) return;
    const runs = [...this.#runs.keys()];
    const { kind, store, onError } = this.#options;
    try {
      const claims = runs.map(({ claim }) => claim);
      const { lost, toStop, unknown } = await store.heartbeat(kind, claims);
      for (const run of runs) {
        // One that ended meanwhile is rightly not found running.
        if (!this.#runs.has(run)) continue;
        if (lost.includes(run.claim)) run.lose();
        else if (toStop.includes(run.claim)) run.cancel();
      }
      await this.#handBackStrays(unknown);
    } catch (error) {
      onError(error);
    }
  }

  /** Twice unknown in a row: not one that is just on its way from the store. */
  async #handBackStrays(unknown: Claim[]): Promise<void> {
    const before = this.#strays;
    this.#strays = new Set(unknown.map(({ id }) => id));
    const known = new Set([...this.#runs.keys()].map(({ claim }) => claim.id));
    for (const claim of unknown) {
      if (before.has(claim.id) && !known.has(claim.id)) await this.#options.requeue(claim);
    }
    if (unknown.length === 0) this.#unsure = false;
  }
}

/** The places take nobody any more. */
function isClosed(error: unknown): boolean {
  return error instanceof ServiceError && error.code === 'shutting_down';
}
