/** A lock that a process holds on a folder for life, and that ends with it however it dies. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** A lock file with a process id could outlive its process, or name one of another container; SQLite's lock cannot. */
export function lockFolder(folder: string): () => void {
  const lock = openLock(folder);
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (!/locked/.test((error as Error).message)) throw error;
    throw new Error('Cannot open DATA_DIR: another server is running on it', { cause: error });
  }
  return () => lock.close();
}

function openLock(folder: string): DatabaseSync {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return new DatabaseSync(join(folder, 'lock.sqlite'));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Error(`Cannot use DATA_DIR=${folder}: ${code ?? message}; set it to a folder of yours`, { cause: error });
  }
}
