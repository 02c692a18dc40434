/** Locks a folder. The lock ends with its process, even if the process is killed. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/**
 * Locks the folder, and returns a function that releases the lock. Throws an Error with a one-line message if another
 * process holds the lock or the folder cannot be used. The lock is an SQLite lock, which ends with its process. A file
 * with a process id could outlive its process, or name a process of another container.
 */
export function lockFolder(folder: string): () => void {
  const lock = openLock(folder);
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    const { message } = error as Error;
    if (!/locked/.test(message)) throw new Error(`Cannot use DATA_DIR=${folder}: ${message}`, { cause: error });
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
