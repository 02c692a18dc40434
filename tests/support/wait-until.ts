/** Waits for a condition instead of sleeping: as short as can be, and a clear failure when it never comes. */

/** Throws when `condition` has not become true within `limitMs`. Answers its last, truthy value. */
export async function waitUntil<T>(
  what: string,
  condition: () => T | Promise<T>,
  limitMs = 5000,
): Promise<Exclude<T, false | null | undefined | '' | 0>> {
  const end = performance.now() + limitMs;
  for (;;) {
    const value = await condition();
    if (value) return value as Exclude<T, false | null | undefined | '' | 0>;
    if (performance.now() > end) throw new Error(`Waited ${limitMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
