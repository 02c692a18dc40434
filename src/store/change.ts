/** Makes a change to the store: runs one transaction, and then sends the notifications about the change. */
import type { Sql } from './database.ts';
import type { Engine } from './engine.ts';
import type { Notifications, Topic } from './notifications.ts';

/**
 * The tools for making a change. `notify` collects topics, whose notifications are sent once the transaction is
 * committed.
 */
export type Work = { sql: Sql; notify(...topics: Topic[]): unknown };

export type Store = { engine: Engine; notifications: Notifications };

/** Runs `work` in one transaction, which is rolled back if `work` throws. */
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

/** Does the same as `change`, but also rolls the transaction back if `work` returns `false`. */
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
