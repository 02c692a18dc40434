/** Ends a process and everything that it started: SIGTERM first, then SIGKILL for the whole tree. */

import { backoff, settledWithin } from '../waits.ts';
import type { StartedProcess } from './child-process.ts';
import { listTree } from './process-tree.ts';
import { sendSignal } from './signals.ts';

/** The CLI needs about 125 ms after SIGTERM to end its tools' processes itself. */
const graceMs = 2000;

/**
 * Settles when nothing of the tree runs any more. If the process has ended already, it ends the rest of the tree.
 * @returns whether the process itself ignored SIGTERM, so that force was needed
 */
export async function endProcess(started: StartedProcess): Promise<boolean> {
  if (isRunning(started)) {
    sendSignal(-started.pid, 'SIGTERM');
    await settledWithin(started.exited, graceMs);
  }
  const forced = isRunning(started);
  await killTree(started);
  started.child.stdout?.destroy();
  started.child.stderr?.destroy();
  return forced;
}

function isRunning({ child }: StartedProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

const maxRounds = 20;

/** Repeats until no process of the tree is found: one may fork between the listing and the signal. */
export async function killTree(started: StartedProcess): Promise<void> {
  const waits = backoff({ firstMs: 5, longestMs: 80 });
  for (let round = 0; round < maxRounds; round += 1) {
    const living = await listTree(started.pid, started.marker);
    if (living.length === 0) return;
    for (const pid of living) sendSignal(pid, 'SIGKILL');
    await waits.wait();
  }
}
