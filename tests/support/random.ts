/** Random choices that are the same at every start. */

export type Random = {
  /** From 0 up to, not including, `below`. */
  number(below: number): number;
  pick<T>(list: readonly T[]): T;
  /** Characters that cause errors in parsers, logs and headers. */
  weirdText(): string;
};

const weird = [
  ...['\u0000', '\n', '\r\n', '\t', '\u001b[31m', '\u007f', '\u2028', '\ufeff', '\u200b', '\u202e', '\ufffd'],
  ...['\ud83d\ude00', '\ud800', '\udfff', 'e\u0301', '\u0645\u0631', '\u65e5\u672c', '\ud83d\udc69\u200d\ud83d\udcbb'],
  ...['__proto__', 'constructor', '{{x}}', '$(x)', '%00', '../../', "';--", '<script>', '"', '\\', '@file', '/clear'],
];

/** Mulberry32. */
export function seededRandom(seed: number): Random {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const number = (below: number) => Math.floor(next() * below);
  const pick = <T>(list: readonly T[]): T => list[number(list.length)] as T;
  return {
    number,
    pick,
    weirdText: () => Array.from({ length: 1 + number(6) }, () => pick(weird)).join(''),
  };
}
