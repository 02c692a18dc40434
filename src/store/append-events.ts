/** Appends a worker's events to the log of its run. A repeated call does not append the events again. */
import { change, type Store, type Work } from './change.ts';
import { insertEvents } from './change-state.ts';
import type { Sql } from './database.ts';
import type { Claim, NewEvent } from './stored-run.ts';

/**
 * Appends events after number `lastSeq`. Returns `false`, and writes nothing, if the claim is not the run's latest
 * claim.
 */
export async function appendEvents(store: Store, claim: Claim, lastSeq: number, events: NewEvent[]): Promise<boolean> {
  const { id, attempt } = claim;
  const bytes = events.reduce((sum, { body }) => sum + Buffer.byteLength(JSON.stringify(body)), 0);
  const newSeq = lastSeq + events.length;
  const append = async ({ sql, notify }: Work) => {
    const [row] = await sql(
      `UPDATE agent_jobs SET last_seq = $1, bytes = bytes + $2
       WHERE id = $3 AND attempt = $4 AND state = 'running' AND last_seq = $5 RETURNING id`,
      [newSeq, bytes, id, attempt, lastSeq],
    );
    if (!row) return wasAppended(sql, claim, newSeq);
    await insertEvents(sql, id, newSeq, events);
    notify(`job:${id}`);
    return true;
  };
  return change(store, append, 'soon');
}

/**
 * Returns whether an earlier call appended these events. Only the worker adds events to a running run, so the run's
 * latest event number shows it.
 */
async function wasAppended(sql: Sql, { id, attempt }: Claim, newSeq: number): Promise<boolean> {
  const rows = await sql(
    `SELECT id FROM agent_jobs WHERE id = $1 AND attempt = $2 AND state = 'running' AND last_seq = $3`,
    [id, attempt, newSeq],
  );
  return rows.length > 0;
}
