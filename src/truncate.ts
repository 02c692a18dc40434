/** Cuts a text to a length without breaking a character. */

/** At most `maxLength` UTF-16 code units; a text that is cut ends in `…`. Never cuts between the halves of a code point. */
export function truncate(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : `${startOf(text, maxLength - 1)}…`;
}

/** The first `length` UTF-16 code units, or one less where the cut would be in a code point. */
export function startOf(text: string, length: number): string {
  const last = text.charCodeAt(length - 1);
  const isHighSurrogate = last >= 0xd800 && last <= 0xdbff;
  return text.slice(0, isHighSurrogate && length < text.length ? length - 1 : length);
}
