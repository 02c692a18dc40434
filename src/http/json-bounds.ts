/** Counts the values in a JSON text before it is parsed, because a text of many small values takes long to parse. */

export type JsonSize = {
  /** The number of values of every kind, and of names in objects. */
  items: number;
  /** The levels of arrays and objects. 0 for a string or a number. */
  depth: number;
};

/**
 * The limits of a body. Within them 10 MB are parsed and checked in steps of about 100 ms. A short message has 5 items,
 * a tool call 10.
 */
export const jsonLimits: JsonSize = { items: 100_000, depth: 512 };

const quote = 0x22;
const backslash = 0x5c;
/** The length in bytes up to which a loop finds the end of a string faster than Node's own search does. */
const shortString = 64;

/** The bytes that are not part of a number or a word. */
const isSeparator = new Uint8Array(256);
for (const byte of Buffer.from(' \t\n\r,:')) isSeparator[byte] = 1;

/**
 * Counts in time that grows linearly with the text. For a text that is not JSON the count is meaningless, but parsing
 * it fails anyway.
 */
export function jsonSize(json: Uint8Array): JsonSize {
  const bytes = Buffer.from(json.buffer, json.byteOffset, json.byteLength);
  const { length } = bytes;
  let items = 0;
  let depth = 0;
  let deepest = 0;
  let inWord = false;
  for (let at = 0; at < length; at += 1) {
    const byte = bytes[at] as number;
    if (isSeparator[byte] === 1) {
      inWord = false;
    } else if (byte === quote) {
      items += 1;
      inWord = false;
      at = endOfString(bytes, at + 1);
    } else if (byte === 0x5b || byte === 0x7b) {
      items += 1;
      inWord = false;
      depth += 1;
      if (depth > deepest) deepest = depth;
    } else if (byte === 0x5d || byte === 0x7d) {
      inWord = false;
      depth -= 1;
    } else if (!inWord) {
      items += 1;
      inWord = true;
    }
  }
  return { items, depth: deepest };
}

/**
 * Returns what is over a limit, with the count and the limit, as the end of a sentence. Returns `undefined` if nothing
 * is.
 */
export function overJsonLimits({ items, depth }: JsonSize, limits: JsonSize = jsonLimits): string | undefined {
  if (depth > limits.depth) return `is nested ${depth} levels deep; the limit is ${limits.depth}`;
  if (items > limits.items) return `holds ${items} names and values; the limit is ${limits.items}`;
  return undefined;
}

/** Returns the index of the closing quote, or the length of the text if there is none. */
function endOfString(bytes: Buffer, start: number): number {
  let at = start;
  for (;;) {
    for (const near = Math.min(at + shortString, bytes.length); at < near; at += 1) {
      const byte = bytes[at];
      if (byte === quote) return at;
      if (byte === backslash) at += 1;
    }
    const found = bytes.indexOf(quote, at);
    if (found < 0) return bytes.length;
    if (!isEscaped(bytes, found, at)) return found;
    at = found + 1;
  }
}

/** Returns whether an odd number of backslashes stands before `found`. Bytes before `from` are not part of the string. */
function isEscaped(bytes: Buffer, found: number, from: number): boolean {
  let start = found;
  while (start > from && bytes[start - 1] === backslash) start -= 1;
  return (found - start) % 2 === 1;
}
