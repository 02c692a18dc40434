/** Waits for a promise, but not for ever. */

/** Settles with `promise`, or after `ms` milliseconds without it. */
export async function settledWithin(promise: Promise<unknown>, ms: number): Promise<void> {
  const { promise: timeout, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}
