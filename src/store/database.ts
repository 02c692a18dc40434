/** The functions of a database that the store uses. There are few, so that both engines run the same statements. */

export type Value = string | number | null;

export type Row = Record<string, Value>;

/** Runs one statement with parameters `$1`, `$2`, ...; each must be used, because PostgreSQL refuses an unused one. */
export type Sql = (statement: string, values?: Value[]) => Promise<Row[]>;

export type Database = {
  query: Sql;
  /**
   * Commits all statements or none. `durable`: on disk when this settles, also after a power failure. `soon`: on disk
   * with the next durable transaction; a crash of this process alone loses nothing.
   */
  transaction<T>(durability: 'durable' | 'soon', work: (sql: Sql) => Promise<T>): Promise<T>;
  close(): Promise<void>;
};
