/** SQLite through Node's own module: one connection, statements one after another. */
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { ServiceError } from '../errors.ts';
import type { Database, Row, Sql, Value } from './database.ts';

export function openSqlite(file: string): Database {
  const connection = new DatabaseSync(file);
  connection.exec('PRAGMA journal_mode = WAL; PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY');
  const statements = new Map<string, StatementSync>();

  const run: Sql = async (text, values = []) => {
    let statement = statements.get(text);
    if (!statement) {
      statement = connection.prepare(text);
      statements.set(text, statement);
    }
    return statement.all(named(values)) as Row[];
  };

  // A transaction spans several steps of the event loop; nobody else may come in between on this one connection.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work).catch(explain);
    last = result.catch(() => {});
    return result;
  };

  return {
    query: (text, values) => inTurn(() => run(text, values)),
    transaction: (durability, work) =>
      inTurn(async () => {
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
    close: () => inTurn(async () => connection.close()),
  };
}

/** Of SQLite's result codes those that say that the file cannot be read or written now: full, locked, broken disk. */
const outages: Record<number, string> = {
  5: 'it is locked',
  8: 'it may only be read',
  10: 'the disk fails',
  13: 'the disk is full',
  14: 'its file cannot be opened',
};

/** Tells an outage from a fault: what failed because of the disk may be asked again. */
function explain(error: unknown): never {
  const outage = outages[((error as { errcode?: number }).errcode ?? 0) & 0xff];
  if (outage === undefined) throw error;
  throw new ServiceError('store_unavailable', `Cannot reach the job store: ${outage}`, {
    retryAfterSeconds: 5,
    cause: error,
  });
}

function named(values: Value[]): Record<string, Value> {
  return Object.fromEntries(values.map((value, at) => [`$${at + 1}`, value]));
}
