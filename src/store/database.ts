/** The little that the store needs of a database, so that both engines run the same statements. */

export type Value = string | number | null;

export type Row = Record<string, Value>;

/** Runs one statement with parameters `$1`, `$2`, ...; each of them used, since an unused one is an error somewhere. */
export type Sql = (statement: string, values?: Value[]) => Promise<Row[]>;

export type Database = {
  query: Sql;
  /**
   * All or nothing. `durable`: on disk when this settles, also when the power fails. `soon`: with the next durable one;
   * a crash of this process alone loses nothing.
   */
  transaction<T>(durability: 'durable' | 'soon', work: (sql: Sql) => Promise<T>): Promise<T>;
  close(): Promise<void>;
};
