/** Decides whether an interrupted job may wait again, and lets a claimed run wait again. */
import { changeOrUndo, type Store } from './change.ts';
import { type Change, changeState } from './change-state.ts';
import type { JobRecord, Setbacks } from './job.ts';
import { storedSetbacks } from './rows.ts';
import type { Claim, RunKind } from './stored-run.ts';

/**
 * Returns whether an interrupted job may wait again.
 * @param maxAttempts how many times one job may be started
 */
export function mayRunAgain(
  {
    onInterrupt,
    attempt,
    emptyAttempts = 0,
    cancelRequestedAt,
  }: Pick<JobRecord, 'onInterrupt' | 'attempt' | 'emptyAttempts' | 'cancelRequestedAt'>,
  maxAttempts: number,
): boolean {
  return onInterrupt === 'requeue' && attempt - emptyAttempts < maxAttempts && cancelRequestedAt === undefined;
}

/**
 * Lets a claimed run wait again with the same priority and round. Returns `false`, and writes nothing, if the claim is
 * not the run's latest claim, or if the run is to be cancelled.
 * @param setbacks the setbacks of the job so far. Leave them out for a chat request
 */
export async function requeue(
  store: Store,
  kind: RunKind,
  { id, attempt }: Claim,
  setbacks: Setbacks = {},
): Promise<boolean> {
  const change = setbacksChange(setbacks);
  return changeOrUndo(store, async ({ sql, notify }) => {
    await store.engine.removeFromQueue(sql, kind, id);
    if (
      !(await changeState(sql, { id, from: 'running', to: 'queued', attempt, at: store.engine.clock.now(), ...change }))
    )
      return false;
    // The change has locked the row, so no cancel can come between this look and the end of the transaction.
    const [row] = await sql('SELECT priority, turn, cancel_requested_at FROM agent_jobs WHERE id = $1', [id]);
    if (!row || row['cancel_requested_at'] !== null) return false;
    const { notBefore } = setbacks;
    const place = { priority: Number(row['priority']), round: Number(row['turn']) };
    await store.engine.enqueue(sql, { id, kind, ...place, ...(notBefore !== undefined && { notBefore }) });
    notify(`job:${id}`, 'work');
    return true;
  });
}

/** Returns how the setbacks change the row and the event of a job that waits again. */
function setbacksChange(setbacks: Setbacks): Pick<Change, 'set' | 'event'> {
  if (setbacks.emptyAttempts === undefined) return {};
  const { waitingFor } = setbacks;
  return {
    set: { ending: storedSetbacks(setbacks) },
    ...(waitingFor && { event: { error: { code: waitingFor.code, message: waitingFor.message } } }),
  };
}
