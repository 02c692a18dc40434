/** Random names and contents of files: any bytes, and what git, patches and JSON treat in a special way. */
import type { Random } from './random.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

const plainNames = [
  'a.txt',
  'b.txt',
  'c.c',
  'data.bin',
  'README',
  'u.u16',
  'x.lf',
  'x.crlf',
  'x.auto',
  'run.sh',
  'Z.txt',
];

const oddNames: Buffer[] = [
  ...['with space', ' leading', 'trailing ', 'tab\there', 'line\nbreak', 'quote"d', '"first', 'back\\slash', '-dash'],
  ...['*', '[a]', ':(glob)x', '?', '~', '#x', '!x', '%00', 'a\x01b', 'a\x7f', 'A.TXT', 'B.Txt', 'dev', 'null', 'HEAD'],
  ...['.gitx', '.github', 'git', 'x.git', '.gitkeep', 'a.orig', 'caf\xe9', '\xff\xfe', '\x80', 'x'.repeat(200)],
].map(latin1);
for (const name of ['ü', 'ö "q"', '日本', 'e\u0301', 'é', '\u202e', '\ufeff', '😀']) oddNames.push(Buffer.from(name));

/** Names that git does not allow. The record must name files that are called so. */
const refusedNames = ['.GIT', '.Git', 'git~1', '.git ', '.git.'].map(latin1);

export function randomName(random: Random, allowRefused: boolean): Buffer {
  if (allowRefused && random.number(40) === 0) return random.pick(refusedNames);
  return random.number(3) === 0 ? random.pick(oddNames) : latin1(random.pick(plainNames));
}

/** A path with up to three folders. */
export function randomPath(random: Random, allowRefused = false): Buffer {
  const steps = Array.from({ length: random.pick([0, 0, 0, 1, 1, 2, 3]) }, () =>
    random.number(4) === 0 ? randomName(random, allowRefused) : latin1(random.pick(['d', 'e', 'D', 'lib'])),
  );
  return joinBytes(...steps, randomName(random, allowRefused));
}

export function joinBytes(...parts: Buffer[]): Buffer {
  return Buffer.concat(parts.flatMap((part, at) => (at === 0 ? [part] : [latin1('/'), part])));
}

const words = [
  'alpha',
  'beta',
  'gamma',
  '$Id$',
  '$Id: old $',
  'diff --git a/x b/x',
  '--- a/x',
  '+++ b/x',
  '@@ -1 +1 @@',
];
const moreWords = ['\\ No newline at end of file', '-- ', '', '\t', ' ', 'GIT binary patch', 'é', '\ufffd', '\u2028'];

function lines(random: Random, end: () => string): Buffer {
  const count = random.pick([1, 2, 5, 20, 20, 60]);
  return Buffer.from(Array.from({ length: count }, () => `${random.pick([...words, ...moreWords])}${end()}`).join(''));
}

export function randomBytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.number(256)));
}

export function randomContent(random: Random): Buffer {
  const text = (end: () => string) => lines(random, end);
  switch (random.number(16)) {
    case 0:
      return text(() => '\r\n');
    case 1:
      return text(() => random.pick(['\n', '\r\n', '\r']));
    case 2:
      return text(() => '\n').subarray(0, -1);
    case 3:
      return Buffer.concat([text(() => '\n'), latin1('ol\xe9\n')]);
    case 4:
      return Buffer.concat([latin1('a'.repeat(8100)), latin1('\n\0late\n')]);
    case 5:
      return Buffer.concat([latin1('\0'), text(() => '\n')]);
    case 6:
      return randomBytes(random, random.number(300));
    case 7:
      return Buffer.alloc(0);
    case 8:
      return Buffer.from('\ufeffutf16 text\nmore\n', 'utf16le');
    case 9:
      return latin1('\xed\xa0\x80 half a pair\n');
    case 10:
      return latin1('long '.repeat(2000));
    case 11:
      return Buffer.concat([Buffer.from('\ufeff'), text(() => '\n')]);
    default:
      return text(() => '\n');
  }
}

/** Changes a part of a content, so that the patch is small and a rename is found. */
export function randomChange(random: Random, content: Buffer): Buffer {
  const at = random.number(content.length + 1);
  const removed = random.pick([0, 0, 1, 5]);
  const added = random.pick([latin1('x'), latin1('\n'), latin1('\r\n'), latin1('\xe9'), latin1('\0'), latin1('')]);
  return Buffer.concat([content.subarray(0, at), added, content.subarray(at + removed)]);
}

export function randomPointer(random: Random): Buffer {
  const sum = randomBytes(random, 32).toString('hex');
  return latin1(`version https://git-lfs.github.com/spec/v1\noid sha256:${sum}\nsize ${1 + random.number(99999)}\n`);
}

/** No target is a file outside of the repository: an edit that follows the link would change a file of the machine. */
export function randomLinkTarget(random: Random): Buffer {
  const targets = [
    'a.txt',
    '..',
    '.',
    '/nonexistent/a',
    'no\xe9where',
    '/nonexistent',
    'x\ny',
    'd',
    ' ',
    '.git/config',
  ];
  return latin1(random.pick(targets));
}

export function randomAttributes(random: Random): Buffer {
  const values = [
    ...['text', 'text=auto', '-text', 'eol=lf', 'text eol=crlf', 'ident', 'working-tree-encoding=UTF-16LE', 'binary'],
    ...['-diff', 'diff=x', 'merge=x', 'export-ignore', 'filter=lfs -text', 'filter=other', 'export-subst', '!text'],
  ];
  const patterns = ['*', '*.txt', '*.lf', '*.crlf', '*.auto', '*.u16', '*.bin', 'd/*', '*.c'];
  const count = 1 + random.number(3);
  return latin1(Array.from({ length: count }, () => `${random.pick(patterns)} ${random.pick(values)}\n`).join(''));
}

export function randomIgnored(random: Random): Buffer {
  return latin1(`${random.pick(['*.bin', 'd/', '*.log', '/e', '!a.txt', '*', 'u*'])}\n`);
}
