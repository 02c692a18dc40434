/** How long a waiting job will wait, from how long the latest jobs really ran on however many machines there are. */
import type { Outlook } from '../job-store.ts';
import type { Sql } from './database.ts';

const sampleSize = 20;

export async function outlook(sql: Sql, id: string): Promise<Outlook | undefined> {
  const [job] = await sql(`SELECT kind, priority, turn FROM agent_jobs WHERE id = $1 AND state = 'queued'`, [id]);
  if (!job) return undefined;
  const [ahead] = await sql(
    `SELECT count(*) AS jobs FROM agent_jobs WHERE kind = $1 AND state = 'queued'
      AND (priority > $2 OR (priority = $3 AND (turn < $4 OR (turn = $5 AND id < $6))))`,
    [
      job['kind'] ?? null,
      job['priority'] ?? null,
      job['priority'] ?? null,
      job['turn'] ?? null,
      job['turn'] ?? null,
      id,
    ],
  );
  const position = Number(ahead?.['jobs']) + 1;
  const expectedWaitMs = await expectedWait(sql, position);
  return { position, ...(expectedWaitMs !== undefined && { expectedWaitMs }) };
}

/** Until so many jobs have ended, in milliseconds; `undefined` while no job has ended yet. */
export async function expectedWait(sql: Sql, jobs: number): Promise<number | undefined> {
  const [latest] = await sql(
    `SELECT avg(finished_at - started_at) AS length FROM (
      SELECT finished_at, started_at FROM agent_jobs WHERE finished_at IS NOT NULL AND started_at IS NOT NULL
      ORDER BY finished_at DESC LIMIT ${sampleSize}) AS latest`,
  );
  if (latest?.['length'] === null || latest?.['length'] === undefined) return undefined;
  const [running] = await sql(`SELECT count(*) AS jobs FROM agent_jobs WHERE state = 'running'`);
  return (jobs * Number(latest['length'])) / Math.max(1, Number(running?.['jobs']));
}
