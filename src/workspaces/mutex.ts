/** A mutex: one holder at a time, in order of arrival. A caller can stop waiting, and then the next one is served. */

export type Mutex = {
  /** Settles when the caller holds the lock, with the function that unlocks. Rejects with the signal's reason. */
  lock(signal: AbortSignal): Promise<() => void>;
};

export function createMutex(): Mutex {
  let last: Promise<void> = Promise.resolve();
  return {
    async lock(signal) {
      signal.throwIfAborted();
      const before = last;
      const { promise: unlocked, resolve: unlock } = Promise.withResolvers<void>();
      last = before.then(() => unlocked);
      try {
        await untilAborted(before, signal);
      } catch (error) {
        unlock();
        throw error;
      }
      return unlock;
    },
  };
}

/** Settles as the promise does, or rejects with the signal's reason. The work behind the promise is not stopped. */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
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
