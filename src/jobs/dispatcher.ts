/** Runs in this process what waits in the store: claims the next run whenever one waits and a slot is free. */
import type { Slots } from '../admission/slots.ts';
import { ServiceError } from '../errors.ts';
import type { Release } from '../releases.ts';
import type { JobStore } from '../store/job-store.ts';
import { NotificationWaiter } from '../store/notifications.ts';
import type { Claim, RunKind } from '../store/stored-run.ts';
import { backoff } from '../waits.ts';
import type { ClaimedRun } from './claimed-run.ts';

export type DispatcherOptions = {
  kind: RunKind;
  store: Pick<JobStore, 'hasWaiting' | 'heartbeat' | 'notifications'>;
  slots: Pick<Slots, 'acquire'>;
  /** Claims the next run and starts it in the slot, which it releases; `undefined`: none waits. */
  claim(slot: Release): Promise<ClaimedRun | undefined>;
  /** Queues a run again that was claimed for this process but never reached it. */
  requeue(claim: Claim): Promise<unknown>;
  /** Receives the errors of the store; the dispatcher goes on. */
  onError(error: unknown): void;
};

/** A notification of another process may be lost; then this is how late it is noticed. Milliseconds. */
const pollMs = 1000;
const retryMs = { firstMs: 100, longestMs: 5000 };
/** How long `destroy` waits for a store that is away. Milliseconds. */
const giveUpMs = 10_000;

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #runs = new Set<ClaimedRun>();
  readonly #stopping = new AbortController();
  readonly #waiter: NotificationWaiter;
  readonly #claiming: Promise<void>;
  readonly #heartbeat: NodeJS.Timeout;
  /** A claim failed on its way: the store may have granted it. */
  #unsure = false;
  /** Runs that the store holds to run here and that this process did not know at the last heartbeat. */
  #strays = new Set<string>();

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#waiter = new NotificationWaiter(options.store.notifications, 'work');
    this.#heartbeat = setInterval(() => this.#sendHeartbeat(), pollMs);
    this.#claiming = this.#claimUntilStopped();
  }

  /** Starts nothing more; settles when what runs has ended and its end is in the store. */
  async drain(): Promise<void> {
    this.#stopping.abort(new ServiceError('shutting_down'));
    await this.#claiming;
    await Promise.all([...this.#runs].map((run) => run.written));
    clearInterval(this.#heartbeat);
    this.#waiter.close();
  }

  /** Ends what runs; settles when that is in the store, or after 10 s without it. */
  async destroy(): Promise<void> {
    const drained = this.drain();
    await this.#claiming;
    for (const run of this.#runs) run.interrupt();
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
      try {
        const started = (await store.hasWaiting(kind)) && (await this.#startNext(signal));
        if (!started) await this.#waiter.wait(pollMs, signal);
        retry.reset();
      } catch (error) {
        if (signal.aborted || isClosed(error)) return;
        onError(error);
        await this.#waiter.wait(retry.next(), signal);
      }
    }
  }

  /** The slot comes first: until a run is claimed any other process may have it, and then it starts at once. */
  async #startNext(signal: AbortSignal): Promise<boolean> {
    const { kind, store, slots, claim } = this.#options;
    // The store keeps the order between owners, so here they are one.
    const slot = await slots.acquire({ kind, owner: 'store' }, { signal, whenBusy: 'wait' });
    const run = await claim(slot).catch((error: unknown) => {
      this.#unsure = true;
      slot();
      throw error;
    });
    if (!run) {
      slot();
      return false;
    }
    this.#runs.add(run);
    const stopListening = store.notifications.on(`cancel:${run.claim.id}`, () => this.#sendHeartbeat());
    void run.written.finally(() => {
      stopListening();
      this.#runs.delete(run);
    });
    return true;
  }

  /** Tells the store that these runs go on, and ends those that it has cancelled or given to another worker. */
  async #sendHeartbeat(): Promise<void> {
    if (this.#runs.size === 0 && !this.#unsure) return;
    const runs = [...this.#runs];
    const { kind, store, onError } = this.#options;
    try {
      const claims = runs.map(({ claim }) => claim);
      const { lost, toStop, unknown } = await store.heartbeat(kind, claims);
      for (const run of runs) {
        // One that ended meanwhile is not running in the store either.
        if (!this.#runs.has(run)) continue;
        if (lost.includes(run.claim)) run.lose();
        else if (toStop.includes(run.claim)) run.cancel();
      }
      await this.#requeueStrays(unknown);
    } catch (error) {
      onError(error);
    }
  }

  /** Only what was unknown twice in a row: a run may be on its way from the store. */
  async #requeueStrays(unknown: Claim[]): Promise<void> {
    const before = this.#strays;
    this.#strays = new Set(unknown.map(({ id }) => id));
    const known = new Set([...this.#runs].map(({ claim }) => claim.id));
    for (const claim of unknown) {
      if (before.has(claim.id) && !known.has(claim.id)) await this.#options.requeue(claim);
    }
    if (unknown.length === 0) this.#unsure = false;
  }
}

/** The server stops, so no slot is given any more. */
function isClosed(error: unknown): boolean {
  return error instanceof ServiceError && error.code === 'shutting_down';
}
