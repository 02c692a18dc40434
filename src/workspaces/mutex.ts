/**
 * A mutex with one holder at a time, in order of arrival. A caller can stop waiting without holding up the callers
 * after it.
 */

export type Mutex = {
  /** Waits for the lock and returns the function that unlocks it. Rejects with the signal's reason after an abort. */
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

/**
 * Settles as the promise does, or rejects with the signal's reason. An abort does not stop the work behind the promise.
 */
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
