/** Cancels a run. A waiting run ends at once. For a running run, the worker is asked to stop it. */
import { change, type Store } from './change.ts';
import { changeState } from './change-state.ts';
import type { JobError } from './job.ts';
import type { CancelResult } from './job-store.ts';

/** Returns `finished` even if there is no run with this id. */
export async function cancel(store: Store, id: string): Promise<CancelResult> {
  const at = store.engine.clock.now();
  return change(store, async ({ sql, notify }) => {
    // This locks the row, so that the run cannot start, or wait again, before the rest of this transaction.
    const [open] = await sql(
      `UPDATE agent_jobs SET cancel_requested_at = coalesce(cancel_requested_at, $1)
       WHERE id = $2 AND state IN ('queued', 'running') RETURNING state`,
      [at, id],
    );
    if (!open) return 'finished';
    if (open['state'] === 'running') {
      notify(`cancel:${id}`);
      return 'stopping';
    }
    const error: JobError = { code: 'cancelled', message: 'The job was cancelled before it started' };
    const set = { ending: JSON.stringify({ error }) };
    await changeState(sql, { id, from: 'queued', to: 'cancelled', at, set, event: { error } });
    notify(`job:${id}`, 'ended');
    return 'never_started';
  });
}
