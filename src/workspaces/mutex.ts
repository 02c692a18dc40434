/** One at a time, in order of arrival: who waits may give up, and then its turn passes on. */

export type Turns = {
  /** Settles when it is the caller's turn, with the function that ends it. Rejects with the signal's reason. */
  take(signal: AbortSignal): Promise<() => void>;
};

export function createTurns(): Turns {
  let last: Promise<void> = Promise.resolve();
  return {
    async take(signal) {
      signal.throwIfAborted();
      const before = last;
      const { promise: ended, resolve: end } = Promise.withResolvers<void>();
      last = before.then(() => ended);
      try {
        await aborting(before, signal);
      } catch (error) {
        end();
        throw error;
      }
      return end;
    },
  };
}

/** The promise, unless the signal comes first. What the promise stands for goes on. */
export async function aborting<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
