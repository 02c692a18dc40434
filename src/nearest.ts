/** Finds the known name that a wrong name probably means. */

/** Longer names are not compared, because the time grows with the length. */
const maxLength = 64;
/** Shorter words, such as "id" and "of", occur in too many names to mean one of them. */
const shortestWord = 3;

/** Returns the end of a sentence about an unknown name: the nearest known name, or else all of them. */
export function suggestionFor(given: string, known: string[]): string {
  const near = nearestName(given, known);
  if (near !== undefined) return `did you mean ${near}?`;
  return known.length === 0 ? 'there are none' : `there are ${known.join(', ')}`;
}

/**
 * Returns the known name that is most like the given one: it differs in a few letters, in case or in separators, or it
 * shares at least half of the given words. Returns `undefined` if none is alike.
 */
export function nearestName(given: string, known: string[]): string | undefined {
  if (given.length > maxLength) return undefined;
  const candidates = known.map((name) => ({ name, edits: editsBetween(plain(given), plain(name)) }));
  const spelt = candidates
    .filter(({ name, edits }) => edits <= mostEdits(Math.max(plain(given).length, plain(name).length)))
    .sort((one, other) => one.edits - other.edits)[0];
  return spelt?.name ?? sharingWords(given, known);
}

/**
 * Returns how many letters must be added, removed, replaced or swapped with their neighbour to get from one text to the
 * other.
 */
export function editsBetween(one: string, other: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, column) => column);
  for (let row = 1; row <= one.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= other.length; column += 1) {
      const same = one[row - 1] === other[column - 1];
      const swapped = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      current.push(
        Math.min(
          (last[column] ?? 0) + 1,
          (current[column - 1] ?? 0) + 1,
          (last[column - 1] ?? 0) + (same ? 0 : 1),
          swapped ? (beforeLast[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
    [beforeLast, last] = [last, current];
  }
  return last[other.length] ?? 0;
}

function mostEdits(length: number): number {
  return length < 3 ? 0 : length < 6 ? 1 : length < 12 ? 2 : 3;
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '');
}

function sharingWords(given: string, known: string[]): string | undefined {
  const words = wordsOf(given).filter((word) => word.length >= shortestWord);
  const sharing = known.map((name) => ({ name, shared: wordsOf(name).filter((word) => words.includes(word)).length }));
  const [most] = sharing
    .filter(({ shared }) => shared > 0 && shared * 2 >= words.length)
    .sort((one, other) => other.shared - one.shared || one.name.length - other.name.length);
  return most?.name;
}

function wordsOf(name: string): string[] {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .split(/[^a-z0-9]+/);
}
