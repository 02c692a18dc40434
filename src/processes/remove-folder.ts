/** Removes a folder that an agent has written in, with everything in it, also files that the agent made read-only. */
import { readdir, rmdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from './child-process.ts';

const options = { cwd: '/', env: { PATH: '/usr/bin:/bin' }, timeoutMs: 120_000 };

/**
 * Removes a folder with many files by a command, because tens of thousands of files would keep the server's own threads
 * busy. A folder with few files it removes itself, because starting a process costs the server more than all else in a
 * run. Throws an Error when it cannot be removed.
 */
export async function removeFolder(path: string): Promise<void> {
  if (await removedHere(path, { left: fewEntries })) return;
  const first = await runCommand('rm', ['-rf', '--', path], options);
  if (first.code === 0) return;
  await makeAccessible(path);
  const second = await runCommand('rm', ['-rf', '--', path], options);
  if (second.code !== 0) throw new Error('Cannot remove the folder of a run', { cause: second.stderr });
}

/** The home of an agent that only answered has about 20. */
const fewEntries = 64;

/** Whether nothing is left. `false`: there are too many files, or one that cannot be removed as it is. */
async function removedHere(path: string, bound: { left: number }): Promise<boolean> {
  try {
    if (await removedEmpty(path)) return true;
    // A folder that had many entries is itself large, and listing it may take long.
    if ((await stat(path)).size > 65_536) return false;
    const entries = await readdir(path, { withFileTypes: true });
    bound.left -= entries.length;
    if (bound.left < 0) return false;
    for (const entry of entries) {
      const below = join(path, entry.name);
      if (!entry.isDirectory()) await unlink(below);
      else if (!(await removedHere(below, bound))) return false;
    }
    return removedEmpty(path);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/** Whether nothing is left: it was empty, or not there. */
async function removedEmpty(path: string): Promise<boolean> {
  try {
    await rmdir(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/** Gives the server's own user back the permissions to read, write and enter everything in the folder. */
export async function makeAccessible(path: string): Promise<void> {
  await runCommand('chmod', ['-R', 'u+rwX', '--', path], options);
}
