/** The database functions that the store uses. There are few of them, so that both engines run the same statements. */

export type Value = string | number | null;

export type Row = Record<string, Value>;

/**
 * Runs one statement with the parameters `$1`, `$2`, ... The statement must use every parameter, because PostgreSQL
 * refuses unused parameters.
 */
export type Sql = (statement: string, values?: Value[]) => Promise<Row[]>;

export type Database = {
  query: Sql;
  /**
   * Commits all statements or none. A `durable` transaction is on disk when this settles, even after a power failure. A
   * `soon` transaction is on disk once the next `durable` one is. Until then a power failure can undo it, but a crash
   * of this process cannot.
   */
  transaction<T>(durability: 'durable' | 'soon', work: (sql: Sql) => Promise<T>): Promise<T>;
  close(): Promise<void>;
};
