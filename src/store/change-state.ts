/** The one setter of a job's state: it checks what may follow what, and records the change as an event. */

import type { Sql, Value } from './database.ts';
import { isEndState, type JobState, mayFollow, type StoredEventBody } from './job.ts';
import type { NewEvent } from './job-store.ts';

export type Change = {
  id: string;
  from: JobState;
  to: JobState;
  /** Only if this start is still the job's latest. */
  attempt?: number;
  at: number;
  /** Further columns. */
  set?: Record<string, Value>;
  /** What the event tells besides the state. */
  event?: Partial<Omit<Extract<StoredEventBody, { type: 'state' }>, 'type' | 'state' | 'attempt'>>;
};

/** `false`: the job was not in that state, or that start is not its latest; nothing was written. */
export async function changeState(sql: Sql, change: Change): Promise<boolean> {
  const { id, from, to, at } = change;
  if (!mayFollow(from, to)) throw new Error(`Cannot change a job from ${from} to ${to}: no such transition`);
  const values: Value[] = [];
  const parameter = (value: Value) => `$${values.push(value)}`;
  const columns = Object.entries({ ...change.set, state: to }).map(([name, value]) => `${name} = ${parameter(value)}`);
  columns.push('last_seq = last_seq + 1');
  if (to === 'running') columns.push('attempt = attempt + 1', 'attempt_seq = last_seq + 1');
  else columns.push('worker = NULL');
  if (isEndState(to)) {
    columns.push(`finished_at = ${parameter(at)}`);
    // Parameters may be used once only, and their type must be told: an engine infers it from where they stand.
    columns.push(`callback_due_at = CASE WHEN callback IS NULL THEN NULL ELSE CAST(${parameter(at)} AS BIGINT) END`);
  }
  const where = [`id = ${parameter(id)}`, `state = ${parameter(from)}`];
  if (change.attempt !== undefined) where.push(`attempt = ${parameter(change.attempt)}`);
  const [row] = await sql(
    `UPDATE agent_jobs SET ${columns.join(', ')} WHERE ${where.join(' AND ')} RETURNING last_seq, attempt`,
    values,
  );
  if (!row) return false;
  const body: StoredEventBody = { type: 'state', state: to, attempt: Number(row['attempt']), ...change.event };
  await insertEvents(sql, id, Number(row['last_seq']), [{ at, body }]);
  return true;
}

/** Rows per statement: few texts of statements, and few round trips for a burst. */
const groupSize = 20;

/** Writes events under numbers that end with `lastSeq`. */
export async function insertEvents(sql: Sql, jobId: string, lastSeq: number, events: NewEvent[]): Promise<void> {
  const first = lastSeq - events.length + 1;
  const rows = events.map(({ at, body }, index) => [jobId, first + index, at, JSON.stringify(body)]);
  while (rows.length > 0) {
    const group = rows.splice(0, rows.length >= groupSize ? groupSize : 1);
    const tuples = group.map((_, row) => `($${row * 4 + 1}, $${row * 4 + 2}, $${row * 4 + 3}, $${row * 4 + 4})`);
    await sql(`INSERT INTO agent_job_events (job_id, seq, at, body) VALUES ${tuples.join(', ')}`, group.flat());
  }
}
