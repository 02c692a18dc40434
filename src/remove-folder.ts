/** Removes a folder that an agent has written in: with everything, also what it made read-only. */
import { rmdir } from 'node:fs/promises';
import { runCommand } from './child-process.ts';

const options = { cwd: '/', env: { PATH: '/usr/bin:/bin' }, timeoutMs: 120_000 };

/**
 * By a command, because tens of thousands of files would keep the server's own threads busy; but most runs that only
 * answer leave nothing, and starting a process costs the server more than all else that it does for them.
 */
export async function removeFolder(path: string): Promise<void> {
  if (await removedEmpty(path)) return;
  const first = await runCommand('rm', ['-rf', '--', path], options);
  if (first.code === 0) return;
  await makeAccessible(path);
  const second = await runCommand('rm', ['-rf', '--', path], options);
  if (second.code !== 0) throw new Error('Cannot remove the folder of a run', { cause: second.stderr });
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

/** Undoes what would keep the server itself from reading or removing a file in the folder. */
export async function makeAccessible(path: string): Promise<void> {
  await runCommand('chmod', ['-R', 'u+rwX', '--', path], options);
}
