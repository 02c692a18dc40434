/** Shows jobs as a table with headings, one line for each job. */
import type { ListedJobJson } from '../../api/jobs/render-job.ts';
import { truncate } from '../../truncate.ts';

type Column = { heading: string; of(job: ListedJobJson): string; align?: 'right' };

const columns: Column[] = [
  { heading: 'ID', of: ({ job_id }) => job_id },
  { heading: 'STATUS', of: ({ status }) => status },
  { heading: 'REASON', of: reasonOf },
  { heading: 'CREATED', of: ({ created_at }) => created_at.replace(/\.\d+Z$/, 'Z') },
  { heading: 'COST', of: ({ cost_usd }) => (cost_usd === null ? '-' : `$${cost_usd.toFixed(2)}`), align: 'right' },
];

/** Only the operator's key sees the owners of jobs. */
const ownerColumn: Column = { heading: 'OWNER', of: ({ owner }) => owner ?? '-' };

/** The length of a prompt when there is no terminal, and its shortest length on a narrow one. */
const promptLength = { usual: 60, least: 20 };

/** @param width how many characters a line may have. Undefined if there is no terminal */
export function tableOf(jobs: ListedJobJson[], width: number | undefined): string[] {
  const shown = jobs.some(({ owner }) => owner !== undefined) ? [...columns, ownerColumn] : columns;
  const rows = [shown.map(({ heading }) => heading), ...jobs.map((job) => shown.map(({ of }) => of(job)))];
  const widths = shown.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  const before = widths.reduce((sum, each) => sum + each + 2, 0);
  const left = width === undefined ? promptLength.usual : Math.max(promptLength.least, width - before);
  const prompts = ['PROMPT', ...jobs.map(({ prompt }) => truncate(oneLine(prompt), left))];
  return rows.map((row, line) => {
    const cells = row.map((cell, at) => {
      const length = widths[at] ?? 0;
      return shown[at]?.align === 'right' ? cell.padStart(length) : cell.padEnd(length);
    });
    return [...cells, prompts[line]].join('  ').trimEnd();
  });
}

/** Returns why a job has not completed: its place in the queue, or the code of its error. */
function reasonOf({ position, error, waiting_for: cause }: ListedJobJson): string {
  if (cause !== null) return `waits: ${cause.code}`;
  if (position !== null) return `position ${position}`;
  return error?.code ?? '-';
}

function oneLine(text: string): string {
  return text.replace(/[\s\p{Cc}]+/gu, ' ').trim();
}
