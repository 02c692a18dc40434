/** How the two engines differ: in their database, their queue of waiting runs, and their notifications between processes. */
import type { Database, Sql } from './database.ts';
import type { Topic } from './notifications.ts';
import type { Claim, RunKind } from './stored-run.ts';

/** A run that waits: a higher `priority` goes first, and within one priority a lower `round`. */
export type Waiting = { id: string; kind: RunKind; priority: number; round: number };

/**
 * A function that takes `sql` works in that transaction. It is called before the transaction touches the run's own row,
 * so that every transaction takes its locks in the same order.
 */
export type Engine = {
  database: Database;
  /** The name of this process among those that share the store; every start of a process has a new one. */
  worker: string;
  /** Holds a lock until the transaction ends, so that two submissions cannot pass the same limit together. */
  lockSubmissions(sql: Sql): Promise<void>;
  /** Lets a worker take the run. */
  enqueue(sql: Sql, run: Waiting): Promise<void>;
  /** The id of the next run, which no other worker gets; `undefined`: none waits. */
  takeNext(sql: Sql, kind: RunKind): Promise<string | undefined>;
  /** Removes a run that neither waits nor runs any more. */
  removeFromQueue(sql: Sql, kind: RunKind, id: string): Promise<void>;
  /** Reports that this worker still works on these runs. */
  heartbeat(kind: RunKind, claims: Claim[]): Promise<void>;
  /** The runs in state `running` whose worker is gone. */
  listLost(): Promise<(Claim & { kind: RunKind })[]>;
  /** Notifies the other processes that share the store. A notification may be lost. */
  announce(topics: Topic[]): void;
  close(): Promise<void>;
};
