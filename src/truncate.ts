/** Cuts a text to a length without breaking a character, and a list of names to a number of names. */

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

/** Returns the names as one text. Of more than `most` names, it has the first ones and the number of the others. */
export function listed(names: string[], most: number): string {
  const first = names.slice(0, most).join(', ');
  return names.length > most ? `${first} and ${names.length - most} more` : first;
}
