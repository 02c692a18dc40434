/** Opens the job store that the settings name. */
import { join } from 'node:path';
import { ServiceError } from '../errors.ts';
import type { JobStore } from './job-store.ts';
import { openEmbeddedStore } from './sqlite-engine.ts';
import type { HealthLog } from './store-health.ts';

export type StoreSettings = {
  /** The data folder, which the caller has locked with `lockFolder`. */
  dataDir: string;
  /** The URL of a PostgreSQL database. Undefined if the store is a file in `dataDir`. */
  databaseUrl: string | undefined;
  workerTimeoutMs: number;
  /** Called for errors that no caller sees, such as a broken connection that is made again. */
  onError(error: unknown): void;
  log: HealthLog;
};

/** Opens the store. Throws an Error with a one-line message that does not contain the address of the database. */
export async function openJobStore({ dataDir, databaseUrl, ...options }: StoreSettings): Promise<JobStore> {
  if (databaseUrl === undefined) return openInFolder(join(dataDir, 'jobs'), options.log);
  // This module is loaded only if it is used, because loading it costs memory and time.
  const { openPostgresStore } = await import('./postgres-engine.ts');
  try {
    return await openPostgresStore({ url: databaseUrl, ...options });
  } catch (error) {
    const { code, message } = (error instanceof ServiceError ? error.cause : error) as NodeJS.ErrnoException;
    // The messages of system errors contain the address, so their code is used instead. PostgreSQL's messages do not
    // contain it.
    const reason = code && /^E[A-Z]+$/.test(code) ? code : message;
    throw new Error(`Cannot open the job store at DATABASE_URL: ${reason}`, { cause: error });
  }
}

async function openInFolder(folder: string, log: HealthLog): Promise<JobStore> {
  try {
    return await openEmbeddedStore(folder, log);
  } catch (error) {
    const reason =
      error instanceof ServiceError ? error.message : `Cannot open the job store: ${(error as Error).message}`;
    const advice = 'To begin with an empty store, move this folder away. To keep its jobs, restore a backup of it';
    throw new Error(`${reason} (${folder}). ${advice}`, { cause: error });
  }
}
