/** Waits until a condition holds, instead of sleeping for a fixed time. */

/**
 * Returns the first truthy value of `condition`. Throws when there is none within `limitMs` (milliseconds).
 * The default is long because it only delays a failure, and a busy machine may need it.
 */
export async function waitUntil<T>(
  what: string,
  condition: () => T | Promise<T>,
  limitMs = 60_000,
): Promise<Exclude<T, false | null | undefined | '' | 0>> {
  const end = performance.now() + limitMs;
  for (;;) {
    const value = await condition();
    if (value) return value as Exclude<T, false | null | undefined | '' | 0>;
    if (performance.now() > end) throw new Error(`Waited ${limitMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
