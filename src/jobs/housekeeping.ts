/** Regular work on the jobs in the store: recover lost ones, end those that waited too long, remove old ones. */
import type { JobStore, Retention } from '../store/job-store.ts';

export type HousekeepingOptions = {
  store: JobStore;
  maxAttempts: number;
  retention: Retention;
  /** Returns why no job starts now. Undefined if jobs start. */
  cause(): string | undefined;
  /** Called with the ids of removed jobs, so that their kept patches can be removed too. */
  onRemoved(ids: string[]): Promise<void> | void;
  onRecovered(count: number): void;
  onError(error: unknown): void;
  /** How often waiting and lost jobs are checked, in milliseconds. Old jobs are removed every 24th time. */
  everyMs?: number;
};

export type Housekeeping = {
  /** Does all of the work once, now. */
  round(): Promise<void>;
  /** Stops the work. Settles when the current round has ended. */
  stop(): Promise<void>;
};

const roundsPerRemoval = 24;

export function startHousekeeping(options: HousekeepingOptions): Housekeeping {
  let rounds = 0;
  let current: Promise<void> | undefined;
  const attempt = async (work: () => Promise<void>) => work().catch(options.onError);

  async function work(withRemoval: boolean): Promise<void> {
    const { store, maxAttempts } = options;
    await attempt(async () => {
      const count = await store.recoverLost({ maxAttempts });
      if (count > 0) options.onRecovered(count);
    });
    await attempt(async () => {
      await store.expireWaiting(options.cause());
    });
    // Without a write, an idle server would not notice a full disk, or that it has space again.
    if (withRemoval || store.problem) await attempt(() => store.probe());
    if (!withRemoval) return;
    await attempt(async () => {
      const removed = await store.removeOld(options.retention);
      if (removed.length > 0) await options.onRemoved(removed);
    });
  }

  function begin(withRemoval: boolean): Promise<void> {
    current ??= work(withRemoval).finally(() => {
      current = undefined;
    });
    return current;
  }

  const timer = setInterval(() => {
    rounds += 1;
    void begin(rounds % roundsPerRemoval === 0);
  }, options.everyMs ?? 2500);

  return {
    async round() {
      await current;
      await begin(true);
    },
    async stop() {
      clearInterval(timer);
      await current;
    },
  };
}
