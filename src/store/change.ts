/** A change of the store, after which those whom it concerns are told. */

import type { Sql } from './database.ts';
import type { Engine } from './engine.ts';
import type { Notifications, Topic } from './notifications.ts';

/** What a change works with: `tell` takes the topics that are rung once the transaction is through. */
export type Work = { sql: Sql; tell(...topics: Topic[]): unknown };

export type Store = { engine: Engine; notifications: Notifications };

/** Throw in it to undo. */
export async function change<T>(
  { engine, notifications }: Store,
  work: (work: Work) => Promise<T>,
  durability: 'durable' | 'soon' = 'durable',
): Promise<T> {
  const topics: Topic[] = [];
  const tell = (...more: Topic[]) => topics.push(...more);
  const result = await engine.database.transaction(durability, (sql) => work({ sql, tell }));
  if (topics.length > 0) engine.announce(topics);
  for (const topic of topics) notifications.wake(topic);
  return result;
}

class Undo<T> extends Error {
  readonly answer: T;

  constructor(answer: T) {
    super('The change was undone');
    this.answer = answer;
  }
}

/** As `change`, and undone when the answer is `false`. */
export async function changeOrUndo(store: Store, work: (work: Work) => Promise<boolean>): Promise<boolean> {
  try {
    return await change(store, async (tools) => {
      if (!(await work(tools))) throw new Undo(false);
      return true;
    });
  } catch (error) {
    if (error instanceof Undo) return false;
    throw error;
  }
}
