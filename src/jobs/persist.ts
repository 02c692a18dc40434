/** Writes to a store that may be away for a while. */

const longestRetryMs = 5000;

/** Tries again until the store has taken it: an end is not lost because the store is away for a while. */
export async function persist(write: () => Promise<unknown>, abandoned: Promise<void>): Promise<void> {
  const given = abandoned.then(() => true);
  for (let retryMs = 50; ; retryMs = Math.min(longestRetryMs, retryMs * 2)) {
    try {
      await write();
      return;
    } catch {
      if (await Promise.race([given, sleep(retryMs)])) return;
    }
  }
}

function sleep(ms: number): Promise<false> {
  return new Promise((resolve) => setTimeout(resolve, ms, false));
}
