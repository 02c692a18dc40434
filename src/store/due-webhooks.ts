/**
 * Finds the webhooks that are due, and records attempts to send them. Each attempt is recorded in the job, so sending
 * continues after a restart.
 */
import type { Engine } from './engine.ts';
import type { JobRecord, WebhookReport } from './job.ts';
import { recordColumns, toRecord } from './rows.ts';

/** Returns jobs whose webhook must be sent now. No other caller gets these jobs for `leaseMs` milliseconds. */
export async function takeDueWebhooks(
  { database, clock }: Engine,
  limit: number,
  leaseMs: number,
): Promise<JobRecord[]> {
  const now = clock.now();
  const due = await database.query(
    'SELECT id, callback_due_at FROM agent_jobs WHERE callback_due_at <= $1 ORDER BY callback_due_at LIMIT $2',
    [now, limit],
  );
  const taken: JobRecord[] = [];
  for (const row of due) {
    // Several processes may have read the same due time, but only one of them can replace it.
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

export async function recordWebhook({ database, clock }: Engine, id: string, report: WebhookReport): Promise<void> {
  await database.transaction('durable', (sql) =>
    sql('UPDATE agent_jobs SET callback = $1, callback_due_at = $2 WHERE id = $3', [
      JSON.stringify(report),
      report.state === 'pending' ? (report.nextAttemptAt ?? clock.now()) : null,
      id,
    ]),
  );
}
