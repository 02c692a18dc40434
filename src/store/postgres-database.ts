/** Runs statements and transactions on PostgreSQL, through a pool of connections. */
import pg from 'pg';
import { ServiceError } from '../errors.ts';
import type { Database, Row, Sql } from './database.ts';

const int8 = pg.types.builtins.INT8;

/** @param onError called when a connection breaks while it is not in use */
export function createPool(url: string, max: number, onError: (error: unknown) => void): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'claude-agent-server',
    max,
    keepAlive: true,
    connectionTimeoutMillis: 10_000,
    statement_timeout: 60_000,
    // PostgreSQL sends 64-bit integers as text. They are parsed as numbers, which are large enough for all counts and
    // times.
    types: { getTypeParser: (id, format) => (id === int8 ? Number : pg.types.getTypeParser(id, format)) },
  });
  pool.on('error', onError);
  return pool;
}

export function openPostgres(pool: pg.Pool): Database {
  return {
    query: sqlOf(pool),
    // `soon` is treated as `durable`. A reader may already have seen an event, so a crash must not free its number for
    // another event.
    async transaction(_durability, work) {
      const client = await explained(pool.connect());
      let broken: Error | undefined;
      // A connection that breaks between two statements emits an event instead of rejecting a promise.
      const onError = (error: Error) => {
        broken = error;
      };
      client.on('error', onError);
      try {
        await explained(client.query('BEGIN'));
        const result = await work(sqlOf(client));
        await explained(client.query('COMMIT'));
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
  return async (text, values = []) => (await explained(connection.query<Row>(text, values))).rows;
}

/** Turns a database outage into `store_unavailable`, which clients may retry. Throws all other errors unchanged. */
async function explained<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!isOutage(error)) throw error;
    throw new ServiceError('store_unavailable', 'Cannot use the job store: its database cannot be reached', {
      cause: error,
    });
  }
}

/**
 * Returns whether the error means that the database cannot be used now. The numeric codes are from the PostgreSQL
 * manual, appendix A: class 08 is a broken connection, 57P a server that stops or starts, 53300 too many connections.
 * Codes such as `ECONNREFUSED` are from the system, and the two messages are from the connection pool.
 */
function isOutage(error: unknown): boolean {
  const { code = '', message = '' } = error as NodeJS.ErrnoException;
  return /^(E[A-Z]+|08...|57P..|53300)$/.test(code) || /^(Connection terminated|timeout exceeded)/.test(message);
}
