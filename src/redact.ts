/** Removes from a text what a client must not read: secrets, paths of the host, stacks. The only place that does so. */
import { startOf, truncate } from './truncate.ts';

/** UTF-16 code units. No more of a text is examined, since every rule costs time for each of them. */
const maxExamined = 8192;
/** A secret of up to this length that stands across the end of the examined part is dropped whole. */
const maxCutWord = 512;
/** Shorter values occur in ordinary words. */
const minSecretLength = 8;

/** Without a replacement: it finds paths of the host. */
type Rule = { name: string; pattern: RegExp; replacement?: string };

/**
 * In the order in which they are applied. Each takes time that grows linearly with the text, whatever the text holds: a
 * part of a text that one attempt has passed over is not passed over again by the next attempt.
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
  { name: 'Slack tokens', pattern: /\b(?:xox[a-z]|xapp)-[A-Za-z0-9._-]{6,}/g, replacement: '[key]' },
  { name: 'AWS access key ids', pattern: /\bA[KS]IA[A-Z0-9]{16,}/g, replacement: '[key]' },
  { name: 'Google API keys', pattern: /\bAIza[A-Za-z0-9_-]{20,}/g, replacement: '[key]' },
  {
    name: 'JSON web tokens',
    pattern: /(?<![\w-])eyJ[A-Za-z0-9_-]{4,}\.eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?/g,
    replacement: '[key]',
  },
  {
    // Words such as "basic authentication" have neither a digit nor a capital, and are shorter than 20.
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
    pattern: /\b([A-Z0-9_]*(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD))(["']?\s*[=:]\s*)(?:"[^"]*"|'[^']*'|\S+)/gi,
    replacement: '$1$2[key]',
  },
  { name: 'URL credentials', pattern: /(:\/\/)[^\s/'"]*@/g, replacement: '$1[key]@' },
  { name: 'URL queries', pattern: /(:\/\/[^\s'"?]*)\??[^\s'"]*/g, replacement: '$1' },
  { name: 'file URLs', pattern: /\bfile:\/\/[^\s'"]*/g },
  { name: 'quoted paths', pattern: /(?<=(['"]))(?:~|\/[^'"/\n]+)\/[^'"\n]*(?=\1)/g },
  {
    // Of two or more parts, so that `/login` stays; a path in a URL or relative to the workspace stays too.
    name: 'paths',
    pattern: /(?<!\w|\/|(?:^|[\s'"(.])\.)(?:~[\w-]*|\/[^\s/:;,'"`()<>|=]+)(?:\/[^\s/:;,'"`()<>|=]+)+\/?/g,
  },
  { name: 'Windows paths', pattern: /\b[A-Za-z]:\\[^\s:]+/g },
];

const secrets: string[] = [];

/**
 * Removes these values from every text from now on, until the returned function is called. Values of fewer than 8
 * characters are left out.
 */
export function redactValues(values: Iterable<string>): () => void {
  const added = [...values].filter((value) => value.length >= minSecretLength);
  secrets.push(...added);
  // One value may be a part of another one.
  secrets.sort((a, b) => b.length - a.length);
  return () => {
    for (const value of added) secrets.splice(secrets.indexOf(value), 1);
  };
}

export type RedactOptions = {
  /** UTF-16 code units. Default 500. */
  maxLength?: number;
  /** Paths are shown by their last part, not as `[path]`: for messages that name a file of the workspace. */
  fileNames?: boolean;
};

/** One line, cut to the maximum length. */
export function redact(text: string, { maxLength = 500, fileNames = false }: RedactOptions = {}): string {
  let clean = examinedPart(text);
  for (const secret of secrets) clean = clean.replaceAll(secret, '[key]');
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

/** A word at the end of the examined part may be the first half of a secret, which no rule would find. */
function examinedPart(text: string): string {
  if (text.length <= maxExamined) return text;
  const end = startOf(text, maxExamined);
  const space = end.slice(-maxCutWord).search(/\s\S*$/);
  return `${startOf(end, end.length - maxCutWord + Math.max(0, space))}…`;
}
