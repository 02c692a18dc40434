/** PostgreSQL through a pool of connections. */
import pg from 'pg';
import { ServiceError } from '../errors.ts';
import type { Database, Row, Sql } from './database.ts';

const int8 = pg.types.builtins.INT8;

/** @param onError told of a connection that broke while nobody used it */
export function createPool(url: string, max: number, onError: (error: unknown) => void): pg.Pool {
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
  pool.on('error', onError);
  return pool;
}

export function openPostgres(pool: pg.Pool): Database {
  return {
    query: sqlOf(pool),
    // Also what need only be durable `soon`: readers have seen an event's number, so it may not come back as another.
    async transaction(_durability, work) {
      const client = await named(pool.connect());
      let broken: Error | undefined;
      // A connection may also break between two statements, and then says so as an event.
      const onError = (error: Error) => {
        broken = error;
      };
      client.on('error', onError);
      try {
        await named(client.query('BEGIN'));
        const result = await work(sqlOf(client));
        await named(client.query('COMMIT'));
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

function sqlOf(connection: pg.Pool | pg.PoolClient): Sql {
  return async (text, values = []) => (await named(connection.query<Row>(text, values))).rows;
}

/** Tells an outage from a fault: what failed because the database is away may be asked again. */
async function named<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!isOutage(error)) throw error;
    throw new ServiceError('store_unavailable', 'Cannot reach the job store: its database is away', {
      retryAfterSeconds: 5,
      cause: error,
    });
  }
}

/** Errors of the system and of the pool have no SQLSTATE; 08 is a broken connection, 57P a server that stops or starts. */
function isOutage(error: unknown): boolean {
  const { code = '', message = '' } = error as NodeJS.ErrnoException;
  return /^(E[A-Z]+|08...|57P..|53300)$/.test(code) || /^(Connection terminated|timeout exceeded)/.test(message);
}
