/** Opens the job store that the settings name. */
import { join } from 'node:path';
import { ServiceError } from '../errors.ts';
import type { JobStore } from './job-store.ts';
import { openEmbeddedStore } from './sqlite-engine.ts';

export type StoreSettings = {
  /** The caller holds its lock (`lockFolder`). */
  dataDir: string;
  /** The URL of a PostgreSQL database; `undefined`: the store is a file in `dataDir`. */
  databaseUrl: string | undefined;
  workerTimeoutMs: number;
  /** Called for errors that no caller sees, such as a connection that broke and is made again. */
  onError(error: unknown): void;
};

/** Throws an Error with one line that does not hold the address of the database. */
export async function openJobStore({ dataDir, databaseUrl, ...options }: StoreSettings): Promise<JobStore> {
  if (databaseUrl === undefined) return openEmbeddedStore(join(dataDir, 'jobs'));
  // Loaded only when it is used: it costs memory and time.
  const { openPostgresStore } = await import('./postgres-engine.ts');
  try {
    return await openPostgresStore({ url: databaseUrl, ...options });
  } catch (error) {
    const { code, message } = (error instanceof ServiceError ? error.cause : error) as NodeJS.ErrnoException;
    // The messages of system errors hold the address, so their code is used. Those of PostgreSQL do not.
    const reason = code && /^E[A-Z]+$/.test(code) ? code : message;
    throw new Error(`Cannot open the job store at DATABASE_URL: ${reason}`, { cause: error });
  }
}
