/**
 * The front matter of a text: `name: value` lines between two lines of dashes. Of YAML it reads what such files are made
 * of: plain and quoted texts, blocks of text after `|` and `>`, and lists. In time that grows with the text's length,
 * whatever the text holds; libraries for YAML can be kept busy for ever by a few thousand characters.
 */

export type FrontMatter = { fields: Record<string, string | string[]>; body: string };

/** Characters. */
const maxHeadLength = 20_000;

/** `undefined`: the text has none, or one that is too long. */
export function readFrontMatter(text: string): FrontMatter | undefined {
  const lines = text.split(/\r?\n/);
  const end = lines[0] === '---' ? lines.findIndex((line, at) => at > 0 && line.trimEnd() === '---') : -1;
  const head = lines.slice(1, Math.max(end, 1));
  if (end < 0 || head.join('\n').length > maxHeadLength) return undefined;
  return { fields: readFields(head), body: lines.slice(end + 1).join('\n') };
}

/** A field begins at the margin; what is indented below it, or a list, belongs to it. */
function readFields(lines: string[]): FrontMatter['fields'] {
  const fields: FrontMatter['fields'] = Object.create(null);
  for (let at = 0; at < lines.length; ) {
    const [, name, value = ''] = /^([A-Za-z][\w-]*):(?:[ \t]+(.*))?$/.exec(lines[at] ?? '') ?? [];
    at += 1;
    const below: string[] = [];
    while (at < lines.length && /^(\s|- |-$|$)/.test(lines[at] ?? '')) below.push(lines[at++] ?? '');
    if (name !== undefined) fields[name] = fieldValue(value.trim(), below);
  }
  return fields;
}

function fieldValue(value: string, below: string[]): string | string[] {
  const inner = below.map((line) => line.trim());
  if (/^[|>][+-]?\d*$/.test(value)) return inner.join(value.startsWith('|') ? '\n' : ' ').trim();
  if (value.startsWith('[') && value.endsWith(']')) return listOf(value.slice(1, -1).split(','));
  if (value === '' && inner.some((line) => line.startsWith('-'))) {
    return listOf(inner.filter((line) => line.startsWith('-')).map((line) => line.slice(1)));
  }
  // A plain text may go on in the next lines; a map is of no use here.
  return value === '' ? '' : unquoted([value, ...inner.filter((line) => line !== '')].join(' '));
}

function listOf(items: string[]): string[] {
  return items.map((item) => unquoted(item.trim())).filter((item) => item !== '');
}

function unquoted(text: string): string {
  const [quote] = text;
  if (text.length < 2 || (quote !== '"' && quote !== "'") || !text.endsWith(quote)) return text.replace(/\s#.*$/, '');
  const inner = text.slice(1, -1);
  if (quote === "'") return inner.replaceAll("''", "'");
  return inner.replace(/\\(["\\nt])/g, (_, escaped: string) => ({ n: '\n', t: '\t' })[escaped] ?? escaped);
}
