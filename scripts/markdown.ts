/** Writes tables in Markdown, and puts them into documents. */
import { readFileSync, writeFileSync } from 'node:fs';

export function tableOf(headings: string[], rows: (string | number)[][]): string {
  const lines = [headings, headings.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Prints a table. With the argument `--write`, also puts it into the document, after the marker with this name. */
export function publishTable(table: string, document: URL, marker: string): void {
  console.log(table);
  if (!process.argv.includes('--write')) return;
  const text = readFileSync(document, 'utf8');
  const place = new RegExp(`(<!-- ${marker} -->\\n)[\\s\\S]*?(<!-- end -->)`);
  writeFileSync(document, text.replace(place, `$1${table}\n$2`));
}
