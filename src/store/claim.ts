/** Takes the next run from the store for this worker. */
import { change, type Store } from './change.ts';
import { changeState } from './change-state.ts';
import type { Row } from './database.ts';
import type { RunKind } from './stored-run.ts';

/**
 * Takes the next run by priority and round, which now runs on this worker, and returns `columns` of its row. Returns
 * `undefined` if no run waits.
 */
export async function claimNext(store: Store, kind: RunKind, columns: string): Promise<Row | undefined> {
  const { engine } = store;
  return change(store, async ({ sql, notify }) => {
    for (;;) {
      const id = await engine.takeNext(sql, kind);
      if (id === undefined) return undefined;
      const at = engine.clock.now();
      const set = { worker: engine.worker, started_at: at };
      if (await changeState(sql, { id, from: 'queued', to: 'running', at, set })) {
        notify(`job:${id}`);
        const [row] = await sql(`SELECT ${columns} FROM agent_jobs WHERE id = $1`, [id]);
        return row;
      }
      // The run was cancelled, expired or removed while it waited, but its entry in the queue remained.
      await engine.removeFromQueue(sql, kind, id);
    }
  });
}
