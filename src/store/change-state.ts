/**
 * Sets the state of a run; no other code sets it. Checks that the new state may follow the old one, and records an
 * event.
 */
import type { Sql, Value } from './database.ts';
import { isEndState, type JobState, mayFollow, type StoredEventBody } from './job.ts';
import { storedEvent } from './stored-names.ts';
import type { NewEvent } from './stored-run.ts';

export type Change = {
  id: string;
  from: JobState;
  to: JobState;
  /** If given, the state changes only if this is the run's latest attempt. */
  attempt?: number;
  /** The time of the change, in milliseconds since 1970. */
  at: number;
  /** Further columns to set. */
  set?: Record<string, Value>;
  /** Further fields of the event that is recorded. */
  event?: Partial<Omit<Extract<StoredEventBody, { type: 'state' }>, 'type' | 'state' | 'attempt'>>;
};

/**
 * Changes the state of a run. Returns `false`, and writes nothing, if the run was not in state `from` or `attempt` is
 * not its latest attempt.
 */
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
    // `at` gets a second parameter here, because PostgreSQL infers a parameter's type from the place of its use. Inside
    // CASE it needs the CAST to infer the type.
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

/**
 * How many rows one statement inserts. Statements have this many rows or one row, so that a burst of events needs few
 * round trips and only two different statements are prepared.
 */
const groupSize = 20;

/** Inserts events with consecutive numbers. The last event gets the number `lastSeq`. */
export async function insertEvents(sql: Sql, jobId: string, lastSeq: number, events: NewEvent[]): Promise<void> {
  const first = lastSeq - events.length + 1;
  const rows = events.map(({ at, body }, index) => [jobId, first + index, at, storedEvent(body)]);
  while (rows.length > 0) {
    const group = rows.splice(0, rows.length >= groupSize ? groupSize : 1);
    const tuples = group.map((_, row) => `($${row * 4 + 1}, $${row * 4 + 2}, $${row * 4 + 3}, $${row * 4 + 4})`);
    await sql(`INSERT INTO agent_job_events (job_id, seq, at, body) VALUES ${tuples.join(', ')}`, group.flat());
  }
}
