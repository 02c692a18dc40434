/** Writes the tables of settings and errors into the documentation, between their markers. `--check` only compares. */
import { readFileSync, writeFileSync } from 'node:fs';
import { settings } from '../src/config/config.ts';
import { errorTable } from '../src/errors.ts';
import { tableOf } from './markdown.ts';

const tables: Record<string, () => string> = { settings: settingsTable, errors: errorsTable };

const stale = ['README.md'].filter((name) => {
  const file = new URL(`../${name}`, import.meta.url);
  const before = readFileSync(file, 'utf8');
  const after = before.replace(
    /(<!-- generated: (\w+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, head: string, table: string, tail: string) => `${head}${tables[table]?.() ?? ''}${tail}`,
  );
  if (after !== before && !process.argv.includes('--check')) writeFileSync(file, after);
  return after !== before;
});

if (process.argv.includes('--check') && stale.length > 0) {
  throw new Error(`${stale.join(', ')} is behind its tables: run "npm run docs"`);
}

function settingsTable(): string {
  const rows = Object.values(settings).map(({ name, default: fallback, about }) => [`\`${name}\``, fallback, about]);
  return `${tableOf(['name', 'default', 'meaning'], rows)}\n`;
}

function errorsTable(): string {
  const rows = Object.entries(errorTable).map(([code, { status, retry, about }]) => [
    ...[status, `\`${code}\``, retry === 'later' ? 'yes' : 'no', about],
  ]);
  return `${tableOf(['status', 'code', 'retry?', 'meaning'], rows)}\n`;
}
