/** Removes a folder that an agent has written in: with everything, also what it made read-only. */
import { runCommand } from '../child-process.ts';

const options = { cwd: '/', env: { PATH: '/usr/bin:/bin' }, timeoutMs: 120_000 };

/** By a command, because tens of thousands of files would keep the server's own threads busy. */
export async function removeFolder(path: string): Promise<void> {
  const first = await runCommand('rm', ['-rf', '--', path], options);
  if (first.code === 0) return;
  await makeAccessible(path);
  const second = await runCommand('rm', ['-rf', '--', path], options);
  if (second.code !== 0) throw new Error('Cannot remove the folder of a run', { cause: second.stderr });
}

/** Undoes what would keep the server itself from reading or removing a file in the folder. */
export async function makeAccessible(path: string): Promise<void> {
  await runCommand('chmod', ['-R', 'u+rwX', '--', path], options);
}
