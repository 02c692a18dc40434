/** What differs between the engines: the database, how waiting jobs are handed out, and how word gets around. */

import type { Database, Sql } from './database.ts';
import type { Claim, RunKind } from './job-store.ts';
import type { Topic } from './notifications.ts';

export type Waiting = { id: string; kind: RunKind; priority: number; turn: number };

/**
 * Each function that takes `sql` works in that transaction, and before the job's own row is touched in it: one order
 * of locks for all.
 */
export type Engine = {
  database: Database;
  /** Names this process among those that share the store; never used again after a restart. */
  worker: string;
  /** Held to the end of the transaction, so that two submissions do not pass the same limit together. */
  lockSubmissions(sql: Sql): Promise<void>;
  /** Lets a job be handed out. */
  offer(sql: Sql, job: Waiting): Promise<void>;
  /** The id of the one whose turn it is, handed to nobody else. */
  take(sql: Sql, kind: RunKind): Promise<string | undefined>;
  /** The job is neither waiting nor running any more. */
  withdraw(sql: Sql, kind: RunKind, id: string): Promise<void>;
  /** These runs go on. */
  touch(kind: RunKind, claims: Claim[]): Promise<void>;
  /** The running jobs whose worker is gone. */
  listLost(): Promise<(Claim & { kind: RunKind })[]>;
  /** Tells the other processes that share the store; word may be lost. */
  announce(topics: Topic[]): void;
  close(): Promise<void>;
};
