/** Runs statements and transactions on PostgreSQL, through a pool of connections. */
import pg from 'pg';
import { ServiceError } from '../errors.ts';
import type { Database, Row, Sql } from './database.ts';

/**
 * How long the database may take for a connection or a statement, and how long a statement may wait for a lock, in
 * milliseconds.
 */
export type WaitLimits = { answerMs: number; lockMs: number };

export const usualWaits: WaitLimits = { answerMs: 10_000, lockMs: 5000 };

const int8 = pg.types.builtins.INT8;

/** @param onError called when a connection breaks while it is not in use */
export function createPool(
  url: string,
  max: number,
  { answerMs, lockMs }: WaitLimits,
  onError: (error: unknown) => void,
): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'claude-agent-server',
    max,
    keepAlive: true,
    connectionTimeoutMillis: answerMs,
    lock_timeout: lockMs,
    statement_timeout: answerMs,
    // A server that is frozen, or behind a broken network, does not obey its own limits.
    query_timeout: answerMs + 1000,
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
        // A connection that does not answer is closed instead, which also ends its transaction.
        if (isSilent(error)) broken = error as Error;
        else await client.query('ROLLBACK').catch(onError);
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
    const outage = outageOf(error);
    if (outage === undefined) throw error;
    throw new ServiceError('store_unavailable', `Cannot use the job store: ${outage}`, { cause: error });
  }
}

/**
 * The error codes that mean that the database cannot be used now, each with its meaning. The codes with digits are from
 * the PostgreSQL manual, appendix A. Codes such as `ECONNREFUSED` are from the system.
 */
const outages: [RegExp, string][] = [
  [/^(E[A-Z]+|08...|57P..|3D000)$/, 'its database cannot be reached'],
  [/^53300$/, 'its database has no free connection'],
  [/^53100$/, 'the disk of its database is full'],
  [/^53200$/, 'its database is out of memory'],
  [/^25006$/, 'its database is read-only'],
  [/^55P03$/, 'its tables are locked'],
  [/^(57014|40P01|40001)$/, 'its database is overloaded'],
  [/^58...$/, 'the disk of its database fails'],
];

/** Returns why the database cannot be used now. Returns `undefined` if the error means something else. */
function outageOf(error: unknown): string | undefined {
  if (isSilent(error)) return 'its database does not answer';
  const { code = '', message = '' } = error as NodeJS.ErrnoException;
  if (/^Connection terminated|^Client has encountered a connection error/.test(message)) return outages[0]?.[1];
  return outages.find(([codes]) => codes.test(code))?.[1];
}

/** Returns whether the database has not answered in time. These messages are from the package `pg`. */
function isSilent(error: unknown): boolean {
  const { message, cause } = error as Error;
  return (
    /^(timeout exceeded|timeout expired|Query read timeout)|due to connection timeout$/.test(message) ||
    (cause !== undefined && isSilent(cause))
  );
}
