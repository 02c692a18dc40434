/** The only setter of a run's state: it checks that the new state may follow, and records the change as an event. */
import type { Sql, Value } from './database.ts';
import { isEndState, type JobState, mayFollow, type StoredEventBody } from './job.ts';
import type { NewEvent } from './stored-run.ts';

export type Change = {
  id: string;
  from: JobState;
  to: JobState;
  /** Change the state only if this is the latest attempt. */
  attempt?: number;
  /** Milliseconds since 1970. */
  at: number;
  /** Further columns to set. */
  set?: Record<string, Value>;
  /** Further fields of the event. */
  event?: Partial<Omit<Extract<StoredEventBody, { type: 'state' }>, 'type' | 'state' | 'attempt'>>;
};

/** `false`: the run was not in state `from`, or `attempt` is not its latest; nothing was written. */
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
    // Each parameter is used once. PostgreSQL infers its type from the place of use, which inside CASE needs the CAST.
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

/** Rows per statement. A burst of events needs few round trips, and there are few different statements to prepare. */
const groupSize = 20;

/** Writes events; the last one gets the number `lastSeq`. */
export async function insertEvents(sql: Sql, jobId: string, lastSeq: number, events: NewEvent[]): Promise<void> {
  const first = lastSeq - events.length + 1;
  const rows = events.map(({ at, body }, index) => [jobId, first + index, at, JSON.stringify(body)]);
  while (rows.length > 0) {
    const group = rows.splice(0, rows.length >= groupSize ? groupSize : 1);
    const tuples = group.map((_, row) => `($${row * 4 + 1}, $${row * 4 + 2}, $${row * 4 + 3}, $${row * 4 + 4})`);
    await sql(`INSERT INTO agent_job_events (job_id, seq, at, body) VALUES ${tuples.join(', ')}`, group.flat());
  }
}
