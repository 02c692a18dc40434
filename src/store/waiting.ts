/** Jobs that leave the queue without having run, and the request to stop one that runs. */

import { change, type Store } from './change.ts';
import { changeState } from './change-state.ts';
import type { JobError } from './job.ts';

/** `finished` also when there is no such job. */
export async function cancel(store: Store, id: string): Promise<'never_started' | 'stopping' | 'finished'> {
  const at = Date.now();
  return change(store, async ({ sql, tell }) => {
    const error: JobError = { code: 'cancelled', message: 'The job was cancelled before it started' };
    const set = { cancel_requested_at: at, ending: JSON.stringify({ error }) };
    if (await changeState(sql, { id, from: 'queued', to: 'cancelled', at, set, event: { error } })) {
      tell(`job:${id}`, 'ended');
      return 'never_started';
    }
    const [running] = await sql(
      `UPDATE agent_jobs SET cancel_requested_at = coalesce(cancel_requested_at, $1)
       WHERE id = $2 AND state = 'running' RETURNING id`,
      [at, id],
    );
    if (!running) return 'finished';
    tell(`cancel:${id}`);
    return 'stopping';
  });
}

export async function expireWaiting(store: Store): Promise<number> {
  const at = Date.now();
  const rows = await store.engine.database.query(
    `SELECT id, created_at FROM agent_jobs WHERE state = 'queued' AND wait_until < $1`,
    [at],
  );
  let count = 0;
  for (const row of rows) {
    const id = String(row['id']);
    const waited = Math.round((at - Number(row['created_at'])) / 1000);
    const error: JobError = {
      code: 'wait_timeout',
      message: `Cannot start the job: it waited ${waited} s for a place`,
    };
    const set = { ending: JSON.stringify({ error }) };
    const expired = await change(store, async ({ sql, tell }) => {
      tell(`job:${id}`, 'ended');
      return changeState(sql, { id, from: 'queued', to: 'timeout', at, set, event: { error } });
    });
    if (expired) count += 1;
  }
  return count;
}
