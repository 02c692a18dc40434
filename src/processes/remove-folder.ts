/** Removes a folder in which an agent has written, with everything in it, even files that the agent made read-only. */
import { lstat, readdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from './child-process.ts';

const options = { cwd: '/', env: { PATH: '/usr/bin:/bin' }, timeoutMs: 120_000 };

/**
 * Removes a folder. If it contains many files, runs a command, because tens of thousands of files would keep the
 * server's own threads busy. If it contains few files, removes them itself, because starting a process costs the server
 * more than everything else in a run. Throws an Error if the folder cannot be removed.
 */
export async function removeFolder(path: string): Promise<void> {
  if (await removedHere(path, { left: fewEntries })) return;
  const first = await runCommand('rm', ['-rf', '--', path], options);
  if (first.code === 0) return;
  await makeAccessible(path);
  const second = await runCommand('rm', ['-rf', '--', path], options);
  if (second.code !== 0) throw new Error('Cannot remove the folder of a run', { cause: second.stderr });
}

/** How many files are removed without a command. The home of an agent that used no tools has about 20. */
const fewEntries = 64;

/**
 * Removes a folder without a command. Returns `false` if the folder still exists, because it contains too many files,
 * or a file that cannot be removed as it is.
 * @param bound `left` is how many files and folders may still be removed
 */
async function removedHere(path: string, bound: { left: number }): Promise<boolean> {
  try {
    if (await removedEmpty(path)) return true;
    const stats = await lstat(path);
    // An agent may have replaced its folder with a link. The folder to which the link leads must stay.
    if (!stats.isDirectory()) {
      await unlink(path);
      return true;
    }
    // A folder that had many files is itself large, and listing it may take long.
    if (stats.size > 65_536) return false;
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

/** Removes a folder if it is empty. Returns whether it no longer exists. */
async function removedEmpty(path: string): Promise<boolean> {
  try {
    await rmdir(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/** Gives the server's user the permissions to read, write and enter everything in the folder. */
export async function makeAccessible(path: string): Promise<void> {
  await runCommand('chmod', ['-R', 'u+rwX', '--', path], options);
}
