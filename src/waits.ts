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

/** Limits of growing waits, in milliseconds. */
export type WaitRange = { firstMs: number; longestMs: number };

/** Returns the wait after so many failures: `firstMs` after the first, then twice the wait before, up to `longestMs`. */
export function waitAfter(failures: number, { firstMs, longestMs }: WaitRange): number {
  return Math.min(longestMs, firstMs * 2 ** (failures - 1));
}

/** Returns waits that grow from attempt to attempt. */
export function backoff(range: WaitRange): Backoff {
  let failures = 0;
  const next = () => {
    failures += 1;
    return waitAfter(failures, range);
  };
  return {
    next,
    wait: (signal) => pause(next(), signal),
    reset: () => {
      failures = 0;
    },
  };
}

/** Settles after `ms` milliseconds, or when `signal` aborts. Never rejects. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}

/**
 * Settles when `promise` settles, after `ms` milliseconds, or when `signal` aborts, whichever is first. Rejects if
 * `promise` rejects first.
 */
export async function settledWithin(promise: Promise<unknown>, ms: number, signal?: AbortSignal): Promise<void> {
  const settled = new AbortController();
  const ends = signal ? AbortSignal.any([signal, settled.signal]) : settled.signal;
  await Promise.race([promise, pause(ms, ends)]).finally(() => settled.abort());
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
