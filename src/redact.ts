/** Removes what a client must not read from a text: secrets, host paths and stack traces. No other file does this. */
import { startOf, truncate } from './truncate.ts';

/**
 * How much of a text is examined, in UTF-16 code units. The rest is dropped, because every rule takes time for each
 * unit.
 */
const maxExamined = 8192;
/**
 * How much is dropped at most from the end of the examined part, in UTF-16 code units, because a secret may be cut
 * there.
 */
const maxCutWord = 512;
/** The length of the shortest secret value that is removed. Shorter values occur in ordinary words. */
const minSecretLength = 8;

/** A rule. If it has no replacement, its pattern finds host paths. */
type Rule = { name: string; pattern: RegExp; replacement?: string };

/**
 * The rules, in the order in which they are applied. The time that each rule takes grows linearly with the text, even
 * if the text is hostile: a part of the text that a failed attempt has examined is not examined again by the next
 * attempt.
 */
const rules: Rule[] = [
  {
    name: 'terminal colours',
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they begin with ESC
    pattern: /\u001b\[[0-9;?]*[A-Za-z]/g,
    replacement: '',
  },
  { name: 'lines of a stack', pattern: /^[ \t]+at .+$/gm, replacement: '' },
  {
    name: 'private key blocks',
    pattern: /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:[\s\S]*?-----END [A-Z ]{0,30}-----|[\s\S]*)/g,
    replacement: '[key]',
  },
  { name: 'sk-, pk- and rk- keys', pattern: /\b[spr]k[-_][A-Za-z0-9_-]{6,}/g, replacement: '[key]' },
  { name: 'GitHub tokens', pattern: /\bgh[oprsu]_[A-Za-z0-9_]{6,}/g, replacement: '[key]' },
  { name: 'GitHub fine-grained tokens', pattern: /\bgithub_pat_[A-Za-z0-9_]{6,}/g, replacement: '[key]' },
  { name: 'GitLab tokens', pattern: /\bglpat-[A-Za-z0-9_-]{6,}/g, replacement: '[key]' },
  { name: 'npm and Hugging Face tokens', pattern: /\b(?:npm|hf)_[A-Za-z0-9]{16,}/g, replacement: '[key]' },
  { name: 'Slack tokens', pattern: /\b(?:xox[a-z]|xapp)-[A-Za-z0-9._-]{6,}/g, replacement: '[key]' },
  { name: 'AWS access key ids', pattern: /\bA[KS]IA[A-Z0-9]{16,}/g, replacement: '[key]' },
  { name: 'Google API keys', pattern: /\bAIza[A-Za-z0-9_-]{20,}/g, replacement: '[key]' },
  {
    name: 'JSON web tokens',
    pattern: /(?<![\w-])eyJ[A-Za-z0-9_-]{4,}\.eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?/g,
    replacement: '[key]',
  },
  {
    // A value counts as a key only if it has a digit, a capital or at least 20 characters. So the word after "basic" in
    // "basic authentication" stays.
    name: 'Authorization headers',
    pattern: /\b([Bb]earer|BEARER|[Bb]asic|BASIC)\s+(?=[\w.~+/=-]*[0-9A-Z]|[\w.~+/=-]{20})[\w.~+/=-]{6,}/g,
    replacement: '$1 [key]',
  },
  {
    name: 'x-api-key headers',
    pattern: /\b([Xx]-[Aa][Pp][Ii]-[Kk][Ee][Yy])\s+(?=[\w.~+/=-]*\d|[\w.~+/=-]{20})[\w.~+/=-]{6,}/g,
    replacement: '$1 [key]',
  },
  {
    name: 'values of names that end in key, token, secret or password',
    pattern:
      /\b([A-Z0-9_]*(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD))(["']?\s*[=:]\s*)(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\S+)/gi,
    replacement: '$1$2[key]',
  },
  { name: 'URL credentials', pattern: /(:\/\/)[^\s/'"]*@/g, replacement: '$1[key]@' },
  { name: 'URL queries', pattern: /(:\/\/[^\s'"?]*)\??[^\s'"]*/g, replacement: '$1' },
  { name: 'file URLs', pattern: /\bfile:\/\/[^\s'"]*/g },
  { name: 'quoted paths', pattern: /(?<=(['"]))(?:~|\/[^'"/\n]+)\/[^'"\n]*(?=\1)/g },
  {
    // A path must have two or more parts, so that `/login` stays. Paths in URLs and paths relative to the workspace
    // stay too.
    name: 'paths',
    pattern: /(?<!\w|\/|(?:^|[\s'"(.])\.)(?:~[\w-]*|\/[^\s/:;,'"`()<>|=]+)(?:\/[^\s/:;,'"`()<>|=]+)+\/?/g,
  },
  { name: 'Windows paths', pattern: /\b[A-Za-z]:\\[^\s:]+/g },
];

const secrets: string[] = [];

/**
 * Makes `redact` remove these values from every text, until the returned function is called. Values of fewer than 8
 * characters are ignored.
 */
export function redactValues(values: Iterable<string>): () => void {
  const added = [...values].filter((value) => value.length >= minSecretLength);
  secrets.push(...added);
  // Longer values come first, because a shorter value may be a part of a longer one.
  secrets.sort((a, b) => b.length - a.length);
  return () => {
    for (const value of added) secrets.splice(secrets.indexOf(value), 1);
  };
}

/** Returns the text without the values that were given to `redactValues`. */
export function withoutSecrets(text: string): string {
  return secrets.reduce((clean, secret) => clean.replaceAll(secret, '[key]'), text);
}

export type RedactOptions = {
  /** The longest text that is returned, in UTF-16 code units. The default is 500. */
  maxLength?: number;
  /**
   * Whether a path is replaced by its last part, not by `[path]`. This is for messages that name a file of the
   * workspace.
   */
  fileNames?: boolean;
};

/** Returns the text as one line without secrets, host paths and stack traces, cut to the maximum length. */
export function redact(text: string, { maxLength = 500, fileNames = false }: RedactOptions = {}): string {
  let clean = withoutSecrets(examinedPart(text));
  for (const { pattern, replacement } of rules) {
    clean =
      replacement === undefined
        ? clean.replace(pattern, (path) => (fileNames ? lastPart(path) : '[path]'))
        : clean.replace(pattern, replacement);
  }
  return truncate(clean.replace(/\s+/g, ' ').trim(), maxLength);
}

function lastPart(path: string): string {
  return path.split(/[/\\]/).findLast((part) => part !== '') ?? '';
}

/**
 * Returns the part of a text that is examined. Drops the word at its end, which may be the first half of a secret that
 * no rule would find.
 */
function examinedPart(text: string): string {
  if (text.length <= maxExamined) return text;
  const end = startOf(text, maxExamined);
  const space = end.slice(-maxCutWord).search(/\s\S*$/);
  return `${startOf(end, end.length - maxCutWord + Math.max(0, space))}…`;
}
