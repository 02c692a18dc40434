/** Estimates the position and the wait of a waiting run from the duration of the latest runs on all machines. */
import type { Sql } from './database.ts';
import type { Outlook } from './job-store.ts';
import type { RunKind } from './stored-run.ts';

const sampleSize = 20;

/** Returns `undefined` if the run does not wait. */
export async function outlook(sql: Sql, id: string): Promise<Outlook | undefined> {
  const [job] = await sql(`SELECT kind, priority, turn FROM agent_jobs WHERE id = $1 AND state = 'queued'`, [id]);
  if (!job) return undefined;
  const kind = job['kind'] as RunKind;
  const [ahead] = await sql(
    `SELECT count(*) AS jobs FROM agent_jobs WHERE kind = $1 AND state = 'queued'
      AND (priority > $2 OR (priority = $3 AND (turn < $4 OR (turn = $5 AND id < $6))))`,
    [kind, job['priority'] ?? null, job['priority'] ?? null, job['turn'] ?? null, job['turn'] ?? null, id],
  );
  const position = Number(ahead?.['jobs']) + 1;
  const expectedWaitMs = await expectedWait(sql, kind, position);
  return { position, ...(expectedWaitMs !== undefined && { expectedWaitMs }) };
}

/** Returns the positions of all waiting jobs, from 1, by id. */
export async function positions(sql: Sql): Promise<Map<string, number>> {
  const rows = await sql(
    `SELECT id FROM agent_jobs WHERE kind = 'job' AND state = 'queued' ORDER BY priority DESC, turn, id`,
  );
  return new Map(rows.map((row, at) => [String(row['id']), at + 1]));
}

/**
 * Returns the expected time until `runs` runs of the kind have ended, in milliseconds. Returns `undefined` if no run
 * has ended yet.
 */
export async function expectedWait(sql: Sql, kind: RunKind, runs: number): Promise<number | undefined> {
  const [latest] = await sql(
    `SELECT avg(finished_at - started_at) AS length FROM (
      SELECT finished_at, started_at FROM agent_jobs
      WHERE kind = $1 AND finished_at IS NOT NULL AND started_at IS NOT NULL
      ORDER BY finished_at DESC LIMIT ${sampleSize}) AS latest`,
    [kind],
  );
  if (latest?.['length'] === null || latest?.['length'] === undefined) return undefined;
  const [running] = await sql(`SELECT count(*) AS jobs FROM agent_jobs WHERE kind = $1 AND state = 'running'`, [kind]);
  return (runs * Number(latest['length'])) / Math.max(1, Number(running?.['jobs']));
}
