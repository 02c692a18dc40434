/**
 * Runs the fault tests in their long form, and prints their figures as a table. With `--write` the table is also written
 * into docs/reliability.md. Takes about an hour on two cores.
 */
import { readdirSync } from 'node:fs';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type FaultFigures, reportPrefix } from '../tests/support/fault-report.ts';
import { publishTable, tableOf } from './markdown.ts';

const counts = { KILLS: '50', STATE_KILLS: '100', OUTAGE_JOBS: '100' };
const folder = new URL('../tests/fault/', import.meta.url);

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

const rows = figures.map(({ fault, times, acknowledged, lost, doubled, left }) => [
  ...[fault, times, acknowledged, lost, doubled, left],
]);
const table = tableOf(['fault', 'times', 'jobs acknowledged', 'lost', 'doubled', 'left behind'], rows);
publishTable(table, new URL('../docs/reliability.md', import.meta.url), 'figures');
process.exitCode = failed > 0 ? 1 : 0;
