/** PostgreSQL through a pool of connections. */
import pg from 'pg';
import type { Database, Row, Sql } from './database.ts';

const int8 = pg.types.builtins.INT8;

/** @param onTrouble told of a connection that broke while nobody used it */
export function createPool(url: string, max: number, onTrouble: (error: unknown) => void): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'claude-agent-server',
    max,
    keepAlive: true,
    connectionTimeoutMillis: 10_000,
    statement_timeout: 60_000,
    // Counts and times fit a double; as text they would be one more thing to convert.
    types: { getTypeParser: (id, format) => (id === int8 ? Number : pg.types.getTypeParser(id, format)) },
  });
  pool.on('error', onTrouble);
  return pool;
}

export function openPostgres(pool: pg.Pool): Database {
  return {
    query: sqlOf(pool),
    // Also what need only be durable `soon`: readers have seen an event's number, so it may not come back as another.
    async transaction(_durability, work) {
      const client = await pool.connect();
      let broken: Error | undefined;
      // A connection may also break between two statements, and then says so as an event.
      const onError = (error: Error) => {
        broken = error;
      };
      client.on('error', onError);
      try {
        await client.query('BEGIN');
        const result = await work(sqlOf(client));
        await client.query('COMMIT');
        return result;
      } catch (error) {
        await client.query('ROLLBACK').catch(onError);
        throw error;
      } finally {
        client.off('error', onError);
        client.release(broken);
      }
    },
    close: () => pool.end(),
  };
}

/** A statement of which an answer is awaited may also fail because its connection did. */
function sqlOf(connection: pg.Pool | pg.PoolClient): Sql {
  return async (text, values = []) => (await connection.query<Row>(text, values)).rows;
}
