/** Cuts a text to a length without breaking a character. */

/**
 * Returns a text of at most `maxLength` UTF-16 code units. A text that was cut ends in `…`. Never cuts between the two
 * code units of one character.
 */
export function truncate(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : `${startOf(text, maxLength - 1)}…`;
}

/** Returns the first `length` UTF-16 code units of a text, or one fewer if the cut would be inside a character. */
export function startOf(text: string, length: number): string {
  const last = text.charCodeAt(length - 1);
  const isHighSurrogate = last >= 0xd800 && last <= 0xdbff;
  return text.slice(0, isHighSurrogate && length < text.length ? length - 1 : length);
}
