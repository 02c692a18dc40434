/** Removes finished jobs that are too old or too many. A job whose webhook is still to be delivered stays. */
import type { Database, Sql } from './database.ts';
import type { Engine } from './engine.ts';
import type { Retention } from './job-store.ts';

/** How many runs one transaction removes. This is small enough not to delay other work. */
const batchSize = 200;
const chatKeptMs = 60_000;

/** Returns the ids of the removed jobs. */
export async function removeOld({ database, clock }: Engine, retention: Retention): Promise<string[]> {
  // A step of the clock does not make jobs older, because the clock may be wrong now, or may have been wrong before.
  const now = clock.now() - clock.steppedMs;
  await removeAll(database, (sql) => findOldChats(sql, now));
  return removeAll(database, (sql) => findOldJobs(sql, now, retention));
}

async function removeAll(database: Database, find: (sql: Sql) => Promise<string[]>): Promise<string[]> {
  const removed: string[] = [];
  for (;;) {
    const batch = await database.transaction('durable', async (sql) => {
      const ids = await find(sql);
      for (const id of ids) await remove(sql, id);
      return ids;
    });
    removed.push(...batch);
    if (batch.length < batchSize) return removed;
  }
}

async function findOldJobs(sql: Sql, now: number, { ttlMs, maxJobs, maxBytes }: Retention): Promise<string[]> {
  const expired = now - ttlMs;
  // `jobs` and `bytes` are the number and the size of a job and all newer jobs together. A job beyond one of the limits
  // is removed.
  const rows = await sql(
    `SELECT id FROM (
       SELECT id, finished_at, callback_due_at,
         row_number() OVER newest AS jobs, sum(bytes) OVER newest AS bytes
       FROM agent_jobs WHERE kind = 'job' AND finished_at IS NOT NULL
       WINDOW newest AS (ORDER BY finished_at DESC, id DESC ROWS UNBOUNDED PRECEDING)
     ) AS kept
     WHERE (finished_at < $1 OR jobs > $2 OR bytes > $3) AND callback_due_at IS NULL
     ORDER BY finished_at, id LIMIT ${batchSize}`,
    [expired, maxJobs, maxBytes],
  );
  return rows.map((row) => String(row['id']));
}

/** Returns the chat requests that ended so long ago that their client has its answer or is gone. */
async function findOldChats(sql: Sql, now: number): Promise<string[]> {
  const rows = await sql(`SELECT id FROM agent_jobs WHERE kind = 'chat' AND finished_at < $1 LIMIT ${batchSize}`, [
    now - chatKeptMs,
  ]);
  return rows.map((row) => String(row['id']));
}

async function remove(sql: Sql, id: string): Promise<void> {
  await sql('DELETE FROM agent_job_events WHERE job_id = $1', [id]);
  await sql('DELETE FROM agent_job_patches WHERE job_id = $1', [id]);
  await sql('DELETE FROM agent_jobs WHERE id = $1', [id]);
}
