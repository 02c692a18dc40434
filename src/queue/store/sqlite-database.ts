/** SQLite through Node's own module: one connection, statements one after another. */
import { DatabaseSync, type StatementSync } from 'node:sqlite';
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
    const result = last.then(work);
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

function named(values: Value[]): Record<string, Value> {
  return Object.fromEntries(values.map((value, at) => [`$${at + 1}`, value]));
}
