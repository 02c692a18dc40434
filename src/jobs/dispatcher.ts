/** Runs what waits in the store: claims the next run whenever one waits and this process has a free slot. */
import type { Slots } from '../admission/slots.ts';
import { ServiceError } from '../errors.ts';
import type { Release } from '../releases.ts';
import type { JobStore } from '../store/job-store.ts';
import { NotificationWaiter } from '../store/notifications.ts';
import type { Claim, RunKind } from '../store/stored-run.ts';
import { backoff } from '../waits.ts';
import type { ClaimedRun } from './claimed-run.ts';

/** The permission to claim one run. It is given back with one of its functions. */
export type Permit = {
  /** Called when the claimed run has ended, or when the store failed. */
  ended(): void;
  /** Called when no run waits. */
  unused(): void;
};

export type DispatcherOptions = {
  kind: RunKind;
  store: Pick<JobStore, 'hasWaiting' | 'heartbeat' | 'notifications'>;
  slots: Pick<Slots, 'acquire'>;
  /** Settles when a run may be claimed, or when `signal` aborts. Never rejects. */
  permit(signal: AbortSignal): Promise<Permit>;
  /** Claims the next run and starts it. The run releases the slot at its end. Returns `undefined` if no run waits. */
  claim(slot: Release): Promise<ClaimedRun | undefined>;
  /**
   * Puts a run back into the queue, or ends it if it is to be cancelled. It was claimed for this process, but the answer
   * of the store was lost.
   */
  requeue(claim: Claim): Promise<unknown>;
  /** Called with errors of the store. The dispatcher continues after each. */
  onError(error: unknown): void;
};

/** How often the dispatcher looks for runs, in milliseconds, since notifications from other processes can be lost. */
const pollMs = 1000;
/** How often the store hears that the runs go on, in milliseconds. */
const heartbeatMs = 1000;
const retryMs = { firstMs: 100, longestMs: 5000 };
/** How long `destroy` waits for an unreachable store, in milliseconds. */
const giveUpMs = 10_000;

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #runs = new Set<ClaimedRun>();
  readonly #stopping = new AbortController();
  readonly #waiter: NotificationWaiter;
  readonly #claiming: Promise<void>;
  readonly #heartbeat: NodeJS.Timeout;
  /** Whether the answer to a claim is still to come, so that the store may have given a run to this process. */
  #claimUnderWay = false;
  /** Whether a claim failed with an error, so that the store may have given a run to this process. */
  #unsure = false;
  /** The runs that the store gave to this process and that this process did not know at the last heartbeat. */
  #strays = new Set<string>();

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#waiter = new NotificationWaiter(options.store.notifications, 'work');
    this.#heartbeat = setInterval(() => this.#sendHeartbeat(true), heartbeatMs);
    this.#claiming = this.#claimUntilStopped();
  }

  /** Claims no more runs. Settles when the current runs have ended and their ends are in the store. */
  async drain(): Promise<void> {
    this.#stopping.abort(new ServiceError('shutting_down'));
    await this.#claiming;
    await Promise.all([...this.#runs].map((run) => run.written));
    clearInterval(this.#heartbeat);
    this.#waiter.close();
  }

  /** Ends the current runs. Settles when their ends are in the store, or after 10 s if the store is unreachable. */
  async destroy(): Promise<void> {
    const drained = this.drain();
    for (const run of this.#runs) run.interrupt();
    // A claim may be under way, whose run is interrupted as soon as it is known.
    void this.#claiming.then(() => {
      for (const run of this.#runs) run.interrupt();
    });
    const giveUp = setTimeout(() => {
      for (const run of this.#runs) run.abandon();
    }, giveUpMs);
    await drained;
    clearTimeout(giveUp);
  }

  async #claimUntilStopped(): Promise<void> {
    const { signal } = this.#stopping;
    const { kind, store, onError } = this.#options;
    const retry = backoff(retryMs);
    while (!signal.aborted) {
      const permit = await this.#options.permit(signal);
      try {
        const waits = await store.hasWaiting(kind);
        const started = waits && (await this.#startNext(signal, permit));
        if (!started) {
          // A run may wait that must not start yet, or a run that has just failed may be about to wait again.
          if (waits || this.#runs.size > 0) permit.ended();
          else permit.unused();
          await this.#waiter.wait(pollMs, signal);
        }
        retry.reset();
      } catch (error) {
        permit.ended();
        if (signal.aborted || isClosed(error)) return;
        onError(error);
        await this.#waiter.wait(retry.next(), signal);
      }
    }
  }

  /**
   * Waits for a slot first, then claims. Until the claim any other process can take the run; after it the run starts at
   * once.
   */
  async #startNext(signal: AbortSignal, permit: Permit): Promise<boolean> {
    const { kind, store, slots, claim } = this.#options;
    // The store keeps the order between owners, so all jobs have the same owner here.
    const slot = await slots.acquire({ kind, owner: 'store' }, { signal, whenBusy: 'wait' });
    this.#claimUnderWay = true;
    const run = await claim(slot)
      .catch((error: unknown) => {
        this.#unsure = true;
        slot();
        throw error;
      })
      .finally(() => {
        this.#claimUnderWay = false;
      });
    if (!run) {
      slot();
      return false;
    }
    this.#runs.add(run);
    const stopListening = store.notifications.on(`cancel:${run.claim.id}`, () => this.#sendHeartbeat(false));
    void run.written.finally(() => {
      stopListening();
      this.#runs.delete(run);
      permit.ended();
    });
    return true;
  }

  /**
   * Tells the store that these runs go on. Ends the runs that were cancelled, or that the store gave to another worker.
   * @param regular whether this is a heartbeat of the timer, not one for a notification
   */
  async #sendHeartbeat(regular: boolean): Promise<void> {
    if (this.#runs.size === 0 && !this.#unsure) return;
    const runs = [...this.#runs];
    const { kind, store, onError } = this.#options;
    try {
      const claims = runs.map(({ claim }) => claim);
      const { lost, toStop, unknown } = await store.heartbeat(kind, claims);
      for (const run of runs) {
        // A run that has ended since the heartbeat began is not running in the store either.
        if (!this.#runs.has(run)) continue;
        if (lost.includes(run.claim)) run.lose();
        else if (toStop.includes(run.claim)) run.cancel();
      }
      if (regular) await this.#requeueStrays(unknown);
    } catch (error) {
      onError(error);
    }
  }

  /**
   * Requeues only the runs that were unknown at two regular heartbeats in a row, with no claim under way at the first
   * one. Otherwise the answer to their claim may still come.
   */
  async #requeueStrays(unknown: Claim[]): Promise<void> {
    const before = this.#strays;
    this.#strays = this.#claimUnderWay ? new Set() : new Set(unknown.map(({ id }) => id));
    const known = new Set([...this.#runs].map(({ claim }) => claim.id));
    for (const claim of unknown) {
      if (this.#strays.has(claim.id) && before.has(claim.id) && !known.has(claim.id))
        await this.#options.requeue(claim);
    }
    if (unknown.length === 0) this.#unsure = false;
  }
}

/** Whether no slot is given any more, because the server stops. */
function isClosed(error: unknown): boolean {
  return error instanceof ServiceError && error.code === 'shutting_down';
}
