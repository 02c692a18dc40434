/**
 * Reads the front matter of a text: `name: value` lines between two lines of dashes. Supports the part of YAML that
 * such files use: plain and quoted texts, blocks of text after `|` and `>`, and lists. A few thousand hostile
 * characters can keep a YAML library busy for ever. The time that this reader takes grows only linearly with the text.
 */

export type FrontMatter = { fields: Record<string, string | string[]>; body: string };

/** The longest front matter that is read, in characters. */
const maxHeadLength = 20_000;

/**
 * Returns the front matter and the text after it. Returns undefined if there is no front matter, or if it is too long.
 */
export function readFrontMatter(text: string): FrontMatter | undefined {
  const lines = text.split(/\r?\n/);
  const end = lines[0] === '---' ? lines.findIndex((line, at) => at > 0 && line.trimEnd() === '---') : -1;
  const head = lines.slice(1, Math.max(end, 1));
  if (end < 0 || head.join('\n').length > maxHeadLength) return undefined;
  return { fields: readFields(head), body: lines.slice(end + 1).join('\n') };
}

/** Reads the fields. A field begins at the start of a line; the indented lines and list items below it belong to it. */
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
  // A plain text may continue in the next lines. A map is ignored, because no field that is used is a map.
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
