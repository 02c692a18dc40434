/**
 * Runs statements and transactions on SQLite, through Node's own module. There is one connection, which runs one
 * statement or transaction at a time.
 */
import { statSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { ServiceError } from '../errors.ts';
import type { Database, Row, Sql, Value } from './database.ts';

/** Opens the file. Throws `store_unavailable` if it cannot be used. */
export function openSqlite(file: string): Database {
  const connection = open(file);
  const opened = statSync(file).ino;
  const statements = new Map<string, StatementSync>();

  const run: Sql = async (text, values = []) => {
    let statement = statements.get(text);
    if (!statement) {
      statement = connection.prepare(text);
      statements.set(text, statement);
    }
    return statement.all(named(values)) as Row[];
  };

  // A transaction takes several steps of the event loop. No other statement may run on the connection meanwhile.
  let last: Promise<unknown> = Promise.resolve();
  const oneAtATime = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work).catch(explain);
    last = result.catch(() => {});
    return result;
  };

  return {
    query: (text, values) =>
      oneAtATime(() => {
        requireFile(file, opened);
        return run(text, values);
      }),
    transaction: (durability, work) =>
      oneAtATime(async () => {
        requireFile(file, opened);
        connection.exec(`PRAGMA synchronous = ${durability === 'durable' ? 'FULL' : 'NORMAL'}`);
        connection.exec('BEGIN IMMEDIATE');
        try {
          const result = await work(run);
          connection.exec('COMMIT');
          return result;
        } catch (error) {
          if (connection.isTransaction) connection.exec('ROLLBACK');
          throw error;
        }
      }),
    close: () => oneAtATime(async () => connection.close()),
  };
}

function open(file: string): DatabaseSync {
  try {
    const connection = new DatabaseSync(file);
    connection.exec('PRAGMA journal_mode = WAL; PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY');
    return connection;
  } catch (error) {
    return explain(error);
  }
}

/**
 * Throws `store_unavailable` if the file is not at its path any more. SQLite would go on with the removed file, and
 * everything that it writes would be lost when the process ends.
 * @param opened the number of the inode that was opened
 */
function requireFile(file: string, opened: number): void {
  if (statSync(file, { throwIfNoEntry: false })?.ino === opened) return;
  throw new ServiceError(
    'store_unavailable',
    'Cannot use the job store: its file was removed or replaced while the server ran; restart the server',
  );
}

/**
 * SQLite's result codes (sqlite.org/rescode.html) for a file that cannot be read or written now, each with its meaning.
 */
const outages: Record<number, string> = {
  5: 'its file is locked',
  8: 'its file is read-only',
  10: 'the disk fails',
  11: 'its file is damaged',
  13: 'the disk is full',
  14: 'its file cannot be opened',
  26: 'its file is not an SQLite database',
};

/** Turns a disk or file error into `store_unavailable`, which clients may retry. Throws all other errors unchanged. */
function explain(error: unknown): never {
  const outage = outages[((error as { errcode?: number }).errcode ?? 0) & 0xff];
  if (outage === undefined) throw error;
  throw new ServiceError('store_unavailable', `Cannot use the job store: ${outage}`, {
    cause: error,
  });
}

function named(values: Value[]): Record<string, Value> {
  return Object.fromEntries(values.map((value, at) => [`$${at + 1}`, value]));
}
