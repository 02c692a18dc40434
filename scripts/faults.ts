/**
 * Runs the fault tests in their long form, and prints their figures as a table. With `--write` the table is also written
 * into docs/reliability.md. Takes about an hour on two cores.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type FaultFigures, reportPrefix } from '../tests/support/fault-report.ts';

const counts = { KILLS: '50', STATE_KILLS: '100', OUTAGE_JOBS: '100' };
const folder = new URL('../tests/fault/', import.meta.url);
const document = new URL('../docs/reliability.md', import.meta.url);

const files = readdirSync(folder)
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => fileURLToPath(new URL(name, folder)));
const figures: FaultFigures[] = [];
let failed = 0;

for await (const { type, data } of run({ files, concurrency: 1, env: { ...counts, ...process.env } as never })) {
  if (type === 'test:fail' && !('subtests' in (data.details.error ?? {}))) {
    failed += 1;
    console.error(`failed: ${data.name}: ${String(data.details.error?.cause ?? data.details.error)}`);
  }
  if (type !== 'test:diagnostic' || !data.message.startsWith(reportPrefix)) continue;
  const row = JSON.parse(data.message.slice(reportPrefix.length)) as FaultFigures;
  figures.push(row);
  console.error(`${row.fault}: ${row.times} times, ${row.acknowledged} jobs`);
}

const table = tableOf(figures);
console.log(table);
if (process.argv.includes('--write')) {
  const text = readFileSync(document, 'utf8');
  writeFileSync(document, text.replace(/(<!-- figures -->\n)[\s\S]*?(<!-- end -->)/, `$1${table}\n$2`));
}
process.exitCode = failed > 0 ? 1 : 0;

function tableOf(rows: FaultFigures[]): string {
  const head = [
    '| fault | times | jobs acknowledged | lost | doubled | left behind |',
    '| --- | --- | --- | --- | --- | --- |',
  ];
  const cells = rows.map(
    ({ fault, times, acknowledged, lost, doubled, left }) =>
      `| ${[fault, times, acknowledged, lost, doubled, left].join(' | ')} |`,
  );
  return [...head, ...cells].join('\n');
}
