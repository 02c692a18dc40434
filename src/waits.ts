/** Waits for a time or for a promise, and lets other work go on during a long one. */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

export type Backoff = {
  /** Returns the next wait in milliseconds: first `firstMs`, then twice the previous wait, up to `longestMs`. */
  next(): number;
  /** Waits for the time that `next` returns, or until `signal` aborts. Never rejects. */
  wait(signal?: AbortSignal): Promise<void>;
  /** Makes `next` begin with `firstMs` again. Called after a success. */
  reset(): void;
};

/** Returns waits that grow from attempt to attempt. Both limits are in milliseconds. */
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

/** Settles when `promise` settles, or after `ms` milliseconds if that is earlier. Rejects if `promise` rejects. */
export async function settledWithin(promise: Promise<unknown>, ms: number): Promise<void> {
  const settled = new AbortController();
  await Promise.race([promise, pause(ms, settled.signal)]).finally(() => settled.abort());
}

/** How long a list is worked on before other work goes on, in milliseconds. */
const turnMs = 10;

/** Does the same as `map` of an array, but lets other work go on about every 10 ms. */
export async function mapInTurns<Item, Result>(items: Item[], map: (item: Item) => Result): Promise<Result[]> {
  const results: Result[] = [];
  let began = performance.now();
  for (const item of items) {
    results.push(map(item));
    if (performance.now() - began < turnMs) continue;
    await nextTurn();
    began = performance.now();
  }
  return results;
}
