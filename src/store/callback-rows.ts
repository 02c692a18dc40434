/** Which callbacks are due. What was tried is on the job, so a restart goes on where the last attempt left off. */

import type { Database } from './database.ts';
import type { CallbackReport, JobRecord } from './job.ts';
import { recordColumns, toRecord } from './rows.ts';

export async function takeCallbacks(database: Database, limit: number, leaseMs: number): Promise<JobRecord[]> {
  const now = Date.now();
  const due = await database.query(
    'SELECT id, callback_due_at FROM agent_jobs WHERE callback_due_at <= $1 ORDER BY callback_due_at LIMIT $2',
    [now, limit],
  );
  const taken: JobRecord[] = [];
  for (const row of due) {
    // Whoever moves it on from the time that all saw has it.
    const [job] = await database.transaction('durable', (sql) =>
      sql(
        `UPDATE agent_jobs SET callback_due_at = $1 WHERE id = $2 AND callback_due_at = $3 RETURNING ${recordColumns}`,
        [now + leaseMs, row['id'] ?? null, row['callback_due_at'] ?? null],
      ),
    );
    if (job) taken.push(toRecord(job));
  }
  return taken;
}

export async function recordCallback(database: Database, id: string, report: CallbackReport): Promise<void> {
  await database.transaction('durable', (sql) =>
    sql('UPDATE agent_jobs SET callback = $1, callback_due_at = $2 WHERE id = $3', [
      JSON.stringify(report),
      report.state === 'pending' ? (report.nextAttemptAt ?? Date.now()) : null,
      id,
    ]),
  );
}
