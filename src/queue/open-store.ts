/** Opens the job store that the settings name. */
import { join } from 'node:path';
import type { JobStore } from './job-store.ts';
import { openEmbeddedStore } from './store/sqlite-engine.ts';

export type StoreSettings = {
  /** Held by this process alone (`lockFolder`). */
  dataDir: string;
  /** PostgreSQL; without it the store is embedded in `dataDir`. */
  databaseUrl: string | undefined;
  workerTimeoutMs: number;
  /** Told of what goes wrong behind the scenes, such as a connection that broke and is made again. */
  onTrouble(error: unknown): void;
};

/** Throws an Error with one line, without the address of the database, when it cannot be opened. */
export async function openJobStore({ dataDir, databaseUrl, ...options }: StoreSettings): Promise<JobStore> {
  if (databaseUrl === undefined) return openEmbeddedStore(join(dataDir, 'jobs'));
  // Only who uses it pays for it in memory and time.
  const { openPostgresStore } = await import('./store/postgres-engine.ts');
  try {
    return await openPostgresStore({ url: databaseUrl, ...options });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Error(`Cannot open the job store at DATABASE_URL: ${code ?? message}`, { cause: error });
  }
}
