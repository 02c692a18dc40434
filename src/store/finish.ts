/** Records how a job ended. */
import { changeOrUndo, type Store } from './change.ts';
import { changeState } from './change-state.ts';
import type { JobEnd } from './job.ts';
import { storedEnding } from './rows.ts';
import type { Claim } from './stored-run.ts';

/** Returns `false`, and writes nothing, if the claim is not the job's latest claim. */
export async function finish(store: Store, { id, attempt }: Claim, end: JobEnd): Promise<boolean> {
  const { output, stderr, result = null, workspace, error, costUsd, turns } = end;
  const patch = workspace?.patch ?? '';
  return changeOrUndo(store, async ({ sql, notify }) => {
    await store.engine.removeFromQueue(sql, 'job', id);
    const ended = await changeState(sql, {
      id,
      from: 'running',
      to: end.state,
      attempt,
      at: store.engine.clock.now(),
      set: { output, stderr, result, ending: storedEnding(end) },
      event: {
        ...(error && { error }),
        ...(costUsd !== undefined && { costUsd }),
        ...(turns !== undefined && { turns }),
      },
    });
    if (!ended) return false;
    const size = [output, stderr, result ?? '', patch].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    await sql('UPDATE agent_jobs SET bytes = bytes + $1 WHERE id = $2', [size, id]);
    if (patch) await sql('INSERT INTO agent_job_patches (job_id, patch) VALUES ($1, $2)', [id, patch]);
    notify(`job:${id}`, 'ended');
    return true;
  });
}
