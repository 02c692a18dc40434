/** A change of the store: one transaction, and then the notifications about it. */
import type { Sql } from './database.ts';
import type { Engine } from './engine.ts';
import type { Notifications, Topic } from './notifications.ts';

/** The tools of a change. `notify` collects topics; they are sent once the transaction is committed. */
export type Work = { sql: Sql; notify(...topics: Topic[]): unknown };

export type Store = { engine: Engine; notifications: Notifications };

/** Rolls everything back when `work` throws. */
export async function change<T>(
  { engine, notifications }: Store,
  work: (work: Work) => Promise<T>,
  durability: 'durable' | 'soon' = 'durable',
): Promise<T> {
  const topics: Topic[] = [];
  const notify = (...more: Topic[]) => topics.push(...more);
  const result = await engine.database.transaction(durability, (sql) => work({ sql, notify }));
  if (topics.length > 0) engine.announce(topics);
  for (const topic of topics) notifications.notify(topic);
  return result;
}

class Undo extends Error {
  constructor() {
    super('The change was undone');
  }
}

/** As `change`, but rolls everything back when `work` returns `false`. */
export async function changeOrUndo(store: Store, work: (work: Work) => Promise<boolean>): Promise<boolean> {
  try {
    return await change(store, async (tools) => {
      if (!(await work(tools))) throw new Undo();
      return true;
    });
  } catch (error) {
    if (error instanceof Undo) return false;
    throw error;
  }
}
