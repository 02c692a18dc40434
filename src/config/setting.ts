/** The kinds of settings. Each kind parses the text of a flag or an environment variable, or says why it cannot. */

export type Setting<T> = {
  /**
   * The name of the environment variable. The flag is the same name in lower case with dashes, such as
   * `--max-concurrent-runs`.
   */
  name: string;
  /** The default as the documentation shows it. */
  default: string;
  /** What the setting means, for the documentation and `--help`. */
  about: string;
  /**
   * Parses the text of the setting. `raw` is undefined if the setting is not set. Throws an Error with a one-line
   * message that names the setting and the values that it takes.
   */
  parse(raw: string | undefined): T;
};

/** `shownDefault` is the default as the documentation shows it, given if the value itself would not be clear. */
type Options = { shownDefault?: string };

function setting<T>(name: string, fallback: T, about: string, options: Options, read: (raw: string) => T): Setting<T> {
  return {
    name,
    default: options.shownDefault ?? (fallback === undefined ? 'none' : String(fallback)),
    about,
    parse(raw) {
      // A value that comes from a file, such as a secret, often ends in a line break.
      const value = raw?.replace(/[\r\n]+$/, '');
      return value === undefined || value === '' ? fallback : read(value);
    },
  };
}

export function text(name: string, fallback: string, about: string, options: Options = {}): Setting<string> {
  return setting(name, fallback, about, options, (raw) => raw);
}

export function optionalText(name: string, about: string, options: Options = {}): Setting<string | undefined> {
  return setting<string | undefined>(name, undefined, about, options, (raw) => raw);
}

export function integer(
  name: string,
  fallback: number,
  range: [min: number, max: number],
  about: string,
  options: Options = {},
) {
  return number(name, fallback, range, about, options, (raw) => /^-?\d+$/.test(raw));
}

/** Makes a setting whose default depends on other settings. `shownDefault` describes this default. */
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
  return number(name, fallback, range, about, options, (raw) => /^-?\d+(\.\d+)?$/.test(raw));
}

function number(
  name: string,
  fallback: number,
  [min, max]: [number, number],
  about: string,
  options: Options,
  wellFormed: (raw: string) => boolean,
): Setting<number> {
  return setting(name, fallback, about, options, (raw) => {
    const value = Number(raw);
    if (!wellFormed(raw) || value < min || value > max) {
      throw new Error(`Cannot use ${name}="${raw}": it takes a number from ${min} to ${max}`);
    }
    return value;
  });
}

export function flag(name: string, fallback: boolean, about: string): Setting<boolean> {
  return setting(name, fallback, about, {}, (raw) => {
    if (/^(1|true|yes|on)$/i.test(raw)) return true;
    if (/^(0|false|no|off)$/i.test(raw)) return false;
    throw new Error(`Cannot use ${name}="${raw}": it takes on or off`);
  });
}

export function choice<const T extends string>(
  name: string,
  fallback: T,
  choices: readonly T[],
  about: string,
  options: Options = {},
): Setting<T> {
  return setting<T>(name, fallback, about, options, (raw) => {
    const found = choices.find((known) => known === raw);
    if (!found) throw new Error(`Cannot use ${name}="${raw}": it takes one of ${choices.join(', ')}`);
    return found;
  });
}

export function list(name: string, fallback: string[], about: string, options: Options = {}): Setting<string[]> {
  return setting(name, fallback, about, { shownDefault: fallback.join(',') || 'none', ...options }, (raw) =>
    raw
      .split(',')
      .map((item) => item.trim())
      .filter(Boolean),
  );
}

/** Makes a setting that is written as `from=to,from=to`. */
export function pairs(name: string, about: string): Setting<Record<string, string>> {
  return setting<Record<string, string>>(name, {}, about, { shownDefault: 'none' }, (raw) => {
    const entries = raw.split(',').map((pair) => pair.split('=').map((side) => side.trim()));
    for (const pair of entries) {
      if (pair.length !== 2 || !pair[0] || !pair[1])
        throw new Error(`Cannot use ${name}="${raw}": it takes from=to,from=to`);
    }
    return Object.fromEntries(entries) as Record<string, string>;
  });
}
