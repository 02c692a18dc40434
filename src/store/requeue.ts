/** Lets a run that was claimed wait again. */
import { changeOrUndo, type Store } from './change.ts';
import { changeState } from './change-state.ts';
import type { Claim, RunKind } from './stored-run.ts';

/** It keeps its priority and its round. `false`: the claim is not the latest, and nothing was written. */
export async function requeue(store: Store, kind: RunKind, { id, attempt }: Claim): Promise<boolean> {
  return changeOrUndo(store, async ({ sql, notify }) => {
    await store.engine.removeFromQueue(sql, kind, id);
    const [row] = await sql('SELECT priority, turn FROM agent_jobs WHERE id = $1', [id]);
    if (!row) return false;
    await store.engine.enqueue(sql, { id, kind, priority: Number(row['priority']), round: Number(row['turn']) });
    const requeued = await changeState(sql, { id, from: 'running', to: 'queued', attempt, at: Date.now() });
    notify(`job:${id}`, 'work');
    return requeued;
  });
}
