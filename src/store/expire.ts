/** Ends the runs that have waited longer than their limit. */
import { change, type Store } from './change.ts';
import { changeState } from './change-state.ts';
import type { Value } from './database.ts';
import type { JobError, Setbacks } from './job.ts';

/**
 * Returns how many runs it ended.
 * @param cause why no job starts now. Undefined if jobs start
 */
export async function expireWaiting(store: Store, cause?: string): Promise<number> {
  const { clock, clockStepped } = store.engine;
  await clock.refresh();
  await clock.handleSteps(clockStepped);
  const at = clock.now();
  const rows = await store.engine.database.query(
    `SELECT id, created_at, wait_until, ending FROM agent_jobs WHERE state = 'queued' AND wait_until < $1`,
    [at],
  );
  let count = 0;
  for (const row of rows) {
    const id = String(row['id']);
    const createdAt = Number(row['created_at']);
    const error: JobError = {
      code: 'wait_timeout',
      message: `Cannot start the job: it waited ${seconds(at - createdAt)} s ${reasonIn(row['ending'], cause)}, and its limit is ${seconds(Number(row['wait_until']) - createdAt)} s`,
    };
    const set = { ending: JSON.stringify({ error }) };
    const expired = await change(store, async ({ sql, notify }) => {
      notify(`job:${id}`, 'ended');
      return changeState(sql, { id, from: 'queued', to: 'timeout', at, set, event: { error } });
    });
    if (expired) count += 1;
  }
  return count;
}

/** Returns the reason of the wait. The column `ending` of a waiting run has the cause of its latest setback. */
function reasonIn(ending: Value | undefined, cause?: string): string {
  const { waitingFor } = JSON.parse(String(ending ?? '{}')) as Setbacks;
  const error = waitingFor?.message ?? cause;
  return error === undefined ? 'for a slot' : `because of an error (${error})`;
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}
