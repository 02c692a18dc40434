/** Waits that end: after a time, with a promise, or when a signal aborts. */
import { setTimeout as sleep } from 'node:timers/promises';

export type Backoff = {
  /** The next wait in milliseconds: the first one at first, then twice the one before, up to the longest. */
  next(): number;
  /** Waits for the next time, or until `signal` aborts. Never rejects. */
  wait(signal?: AbortSignal): Promise<void>;
  /** After a success: the next wait is the first one again. */
  reset(): void;
};

/** Growing waits between attempts of something that fails. Both bounds are in milliseconds. */
export function backoff({ firstMs, longestMs }: { firstMs: number; longestMs: number }): Backoff {
  let nextMs = firstMs;
  const next = () => {
    const waitMs = Math.min(nextMs, longestMs);
    nextMs = Math.min(longestMs, waitMs * 2);
    return waitMs;
  };
  return {
    next,
    wait: (signal) => pause(next(), signal),
    reset: () => {
      nextMs = firstMs;
    },
  };
}

/** Settles after `ms` milliseconds, or when `signal` aborts. Never rejects. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}

/** Settles with `promise`, or after `ms` milliseconds without it. Rejects as `promise` does. */
export async function settledWithin(promise: Promise<unknown>, ms: number): Promise<void> {
  const settled = new AbortController();
  await Promise.race([promise, pause(ms, settled.signal)]).finally(() => settled.abort());
}
