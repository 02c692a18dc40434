/**
 * The parts of the store that differ between SQLite and PostgreSQL: the database, the queue of waiting runs, and the
 * notifications between processes.
 */
import type { Database, Sql } from './database.ts';
import type { Topic } from './notifications.ts';
import type { StoreClock } from './store-clock.ts';
import type { Claim, RunKind } from './stored-run.ts';

/**
 * A waiting run. A higher `priority` is served first, and within one priority a lower `round`. A run with `notBefore`, in
 * milliseconds since 1970, is served after all others, and not before that time.
 */
export type Waiting = { id: string; kind: RunKind; priority: number; round: number; notBefore?: number };

/**
 * A function with the parameter `sql` works in the transaction of that `sql`. It is called before the transaction
 * touches the run's own row, so that every transaction takes its locks in the same order.
 */
export type Engine = {
  database: Database;
  clock: StoreClock;
  /** The name of this process among all processes that share the store. It is new at every start of the process. */
  worker: string;
  /** Takes a lock until the transaction ends, so that two submissions at once cannot exceed a limit together. */
  lockSubmissions(sql: Sql): Promise<void>;
  /** Adds the run to the queue, from which a worker can take it. */
  enqueue(sql: Sql, run: Waiting): Promise<void>;
  /**
   * Takes the next run from the queue and returns its id. No other worker gets this run. Returns `undefined` if no run
   * waits.
   */
  takeNext(sql: Sql, kind: RunKind): Promise<string | undefined>;
  /** Removes the run's entry from the queue. */
  removeFromQueue(sql: Sql, kind: RunKind, id: string): Promise<void>;
  /** Reports that this worker still works on these runs. */
  heartbeat(kind: RunKind, claims: Claim[]): Promise<void>;
  /**
   * Called when the clock was stepped by so many milliseconds. Moves the limits of waiting runs by as much if the clock is
   * the one of this machine.
   */
  clockStepped(ms: number): Promise<void>;
  /** Returns the runs in state `running` whose worker is gone. */
  listLost(): Promise<(Claim & { kind: RunKind })[]>;
  /** Notifies the other processes that share the store. A notification may be lost. */
  announce(topics: Topic[]): void;
  close(): Promise<void>;
};
