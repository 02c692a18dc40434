/** Finds numbers that JavaScript cannot hold as they were written. */

/**
 * Returns the path of a number in the value that was rounded when it was parsed, such as `user.id`: an integer beyond
 * 2^53, or a number beyond the largest one. Returns `undefined` if there is none. The value may not be nested deeper
 * than `jsonLimits` allows.
 */
export function roundedNumberIn(value: unknown, path = ''): string | undefined {
  if (typeof value === 'number') {
    const exact = Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value);
    return exact ? undefined : path;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [name, member] of Object.entries(value)) {
    const found = roundedNumberIn(member, path === '' ? name : `${path}.${name}`);
    if (found !== undefined) return found;
  }
  return undefined;
}
