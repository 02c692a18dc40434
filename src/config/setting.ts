/** The kinds of settings: how a word from the environment becomes a value, and what is said when it cannot. */

export type Setting<T> = {
  /** Environment name; the flag is the same in lower case with dashes: `--max-concurrent-runs`. */
  name: string;
  /** As shown in the documentation. */
  default: string;
  about: string;
  /** Never shown by `doctor`, a log line or an error. */
  secret: boolean;
  /** `undefined`: not set. Throws an Error with one line that names the setting and what it takes. */
  parse(word: string | undefined): T;
};

type Options = { secret?: boolean; shownDefault?: string };

function setting<T>(name: string, fallback: T, about: string, options: Options, read: (word: string) => T): Setting<T> {
  return {
    name,
    default: options.shownDefault ?? (fallback === undefined ? 'none' : String(fallback)),
    about,
    secret: options.secret ?? false,
    parse: (word) => (word === undefined || word === '' ? fallback : read(word)),
  };
}

export function text(name: string, fallback: string, about: string, options: Options = {}): Setting<string> {
  return setting(name, fallback, about, options, (word) => word);
}

export function optionalText(name: string, about: string, options: Options = {}): Setting<string | undefined> {
  return setting<string | undefined>(name, undefined, about, options, (word) => word);
}

export function integer(
  name: string,
  fallback: number,
  range: [min: number, max: number],
  about: string,
  options: Options = {},
) {
  return number(name, fallback, range, about, options, (word) => /^-?\d+$/.test(word));
}

/** For a default that follows from other settings, which `shownDefault` explains. */
export function optionalInteger(
  name: string,
  [min, max]: [min: number, max: number],
  about: string,
  options: Options = {},
): Setting<number | undefined> {
  const { parse } = integer(name, min, [min, max], about);
  return setting<number | undefined>(name, undefined, about, options, parse);
}

export function decimal(
  name: string,
  fallback: number,
  range: [min: number, max: number],
  about: string,
  options: Options = {},
) {
  return number(name, fallback, range, about, options, (word) => /^-?\d+(\.\d+)?$/.test(word));
}

function number(
  name: string,
  fallback: number,
  [min, max]: [number, number],
  about: string,
  options: Options,
  wellFormed: (word: string) => boolean,
): Setting<number> {
  return setting(name, fallback, about, options, (word) => {
    const value = Number(word);
    if (!wellFormed(word) || value < min || value > max) {
      throw new Error(`Cannot use ${name}="${word}": it takes a number from ${min} to ${max}`);
    }
    return value;
  });
}

export function flag(name: string, fallback: boolean, about: string): Setting<boolean> {
  return setting(name, fallback, about, {}, (word) => {
    if (/^(1|true|yes|on)$/i.test(word)) return true;
    if (/^(0|false|no|off)$/i.test(word)) return false;
    throw new Error(`Cannot use ${name}="${word}": it takes on or off`);
  });
}

export function choice<const T extends string>(
  name: string,
  fallback: T,
  choices: readonly T[],
  about: string,
  options: Options = {},
): Setting<T> {
  return setting<T>(name, fallback, about, options, (word) => {
    const found = choices.find((known) => known === word);
    if (!found) throw new Error(`Cannot use ${name}="${word}": it takes one of ${choices.join(', ')}`);
    return found;
  });
}

export function list(name: string, fallback: string[], about: string, options: Options = {}): Setting<string[]> {
  return setting(name, fallback, about, { shownDefault: fallback.join(',') || 'none', ...options }, (word) =>
    word
      .split(',')
      .map((item) => item.trim())
      .filter(Boolean),
  );
}

/** `from=to,from=to`. */
export function pairs(name: string, about: string): Setting<Record<string, string>> {
  return setting<Record<string, string>>(name, {}, about, { shownDefault: 'none' }, (word) => {
    const entries = word.split(',').map((pair) => pair.split('=').map((side) => side.trim()));
    for (const pair of entries) {
      if (pair.length !== 2 || !pair[0] || !pair[1])
        throw new Error(`Cannot use ${name}="${word}": it takes from=to,from=to`);
    }
    return Object.fromEntries(entries) as Record<string, string>;
  });
}
