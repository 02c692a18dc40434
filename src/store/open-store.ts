/** Opens the job store that the settings name. */
import { join } from 'node:path';
import { ServiceError } from '../errors.ts';
import type { JobStore } from './job-store.ts';
import { openEmbeddedStore } from './sqlite-engine.ts';

export type StoreSettings = {
  /** Held by this process alone (`lockFolder`). */
  dataDir: string;
  /** PostgreSQL; without it the store is embedded in `dataDir`. */
  databaseUrl: string | undefined;
  workerTimeoutMs: number;
  /** Told of what goes wrong behind the scenes, such as a connection that broke and is made again. */
  onError(error: unknown): void;
};

/** Throws an Error with one line, without the address of the database, when it cannot be opened. */
export async function openJobStore({ dataDir, databaseUrl, ...options }: StoreSettings): Promise<JobStore> {
  if (databaseUrl === undefined) return openEmbeddedStore(join(dataDir, 'jobs'));
  // Only who uses it pays for it in memory and time.
  const { openPostgresStore } = await import('./postgres-engine.ts');
  try {
    return await openPostgresStore({ url: databaseUrl, ...options });
  } catch (error) {
    const { code, message } = (error instanceof ServiceError ? error.cause : error) as NodeJS.ErrnoException;
    // The system's errors name the address in their message; those of PostgreSQL say what is wrong.
    const reason = code && /^E[A-Z]+$/.test(code) ? code : message;
    throw new Error(`Cannot open the job store at DATABASE_URL: ${reason}`, { cause: error });
  }
}
