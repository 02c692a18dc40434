/** Ends a process and everything it started, in steps: ask, wait, kill the whole tree. */

import { settledWithin } from '../waits.ts';
import { type StartedProcess, signalGroup } from './child-process.ts';
import { listTree } from './process-tree.ts';

/** The CLI needs about 125 ms after SIGTERM to end its tools' processes itself. */
const defaultGraceMs = 2000;

/** Settles when nothing of the tree runs any more. For a process that has ended it ends what that left behind. */
export async function endProcess(started: StartedProcess, graceMs = defaultGraceMs): Promise<void> {
  if (started.child.exitCode === null && started.child.signalCode === null) {
    signalGroup(started.pid, 'SIGTERM');
    await settledWithin(started.exited, graceMs);
  }
  await killTree(started);
  started.child.stdout?.destroy();
  started.child.stderr?.destroy();
}

/** Kills until a look finds nobody: a process may fork between the look and the signal. */
export async function killTree(started: StartedProcess): Promise<void> {
  for (let round = 0; round < 20; round += 1) {
    const living = await listTree(started.pid, started.marker);
    if (living.length === 0) return;
    for (const pid of living) kill(pid);
    await new Promise((resolve) => setTimeout(resolve, 5 * (round + 1)));
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
