/** JSON that is one line for every reader of lines. */

/** Three characters end a line for some of them, although JSON lets these stand. */
const lineEnds = /[\u0085\u2028\u2029]/g;

export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replace(lineEnds, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
