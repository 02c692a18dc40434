/** Ends a process and all processes that it started: first with SIGTERM, then with SIGKILL for the whole tree. */

import { backoff, settledWithin } from '../waits.ts';
import type { StartedProcess } from './child-process.ts';
import { listTree } from './process-tree.ts';
import { sendSignal } from './signals.ts';

/**
 * How long a process may take to end after SIGTERM, in milliseconds. The CLI needs about 125 ms to end its tools'
 * processes.
 */
const graceMs = 2000;

/**
 * Ends a process tree. Settles when none of its processes runs any more. If the process itself has already ended, ends
 * the rest of its tree.
 * @returns whether the process itself ignored SIGTERM, so that SIGKILL was needed
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

/**
 * Sends SIGKILL to a process tree, and repeats this until no process is left, at most 20 times: a process may fork
 * between the listing and the signal.
 */
export async function killTree(started: StartedProcess): Promise<void> {
  const waits = backoff({ firstMs: 5, longestMs: 80 });
  for (let round = 0; round < maxRounds; round += 1) {
    const living = await listTree(started.pid, started.marker);
    if (living.length === 0) return;
    for (const pid of living) sendSignal(pid, 'SIGKILL');
    await waits.wait();
  }
}
