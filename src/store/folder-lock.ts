/** A lock on a folder that ends with its process, also when the process is killed. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/**
 * Returns a function that releases the lock. Throws an Error with one line when another process holds it, or when the
 * folder cannot be used. A file with a process id would not do: it can outlive its process, or name a process of another
 * container. SQLite's lock ends with its process.
 */
export function lockFolder(folder: string): () => void {
  const lock = openLock(folder);
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (!/locked/.test((error as Error).message)) throw error;
    throw new Error(`Cannot use DATA_DIR=${folder}: another server is running on it`, { cause: error });
  }
  return () => lock.close();
}

function openLock(folder: string): DatabaseSync {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return new DatabaseSync(join(folder, 'lock.sqlite'));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Error(`Cannot use DATA_DIR=${folder}: ${code ?? message}; set it to a folder that you own`, {
      cause: error,
    });
  }
}
