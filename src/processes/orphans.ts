/**
 * Marks the processes of this server, and ends those that an earlier, dead server with the same data folder has left.
 */
import { createHash, randomUUID } from 'node:crypto';
import { pause } from '../waits.ts';
import { listMarked } from './process-tree.ts';
import { isAlive, sendSignal } from './signals.ts';

export type Markers = {
  /** Returns the value of the environment variable `treeMarker` for a run's processes. */
  of(runId: string): string;
  /**
   * Ends the processes that dead servers have left: first with SIGTERM, after a second with SIGKILL. Settles when none
   * of them runs, or after 4 seconds. Returns how many there were.
   */
  endOrphans(): Promise<number>;
};

const graceMs = 1000;
/**
 * How long the server waits for orphans to end, in milliseconds. The kernel cannot end a process that waits for a
 * broken disk, and such a process must not keep the server from starting.
 */
const giveUpMs = 4000;

/**
 * Returns the functions for the markers of this server. A marker is `folder:instance:pid:run`. A process is an orphan
 * if its marker names the same data folder, but another instance, whose server no longer runs.
 */
export function createMarkers(dataDir: string): Markers {
  const folder = createHash('sha256').update(dataDir).digest('hex').slice(0, 12);
  const instance = randomUUID().slice(0, 8);
  const isOrphan = (marker: string) => {
    const [ofFolder, ofInstance, serverPid] = marker.split(':');
    return ofFolder === folder && ofInstance !== instance && !isAnotherLivingServer(Number(serverPid));
  };
  return {
    of: (runId) => `${folder}:${instance}:${process.pid}:${runId}`,
    async endOrphans() {
      const first = await listMarked(isOrphan);
      for (const pid of first) sendSignal(pid, 'SIGTERM');
      const began = performance.now();
      const passedMs = () => performance.now() - began;
      for (let left = first; left.length > 0 && passedMs() < giveUpMs; left = await listMarked(isOrphan)) {
        if (passedMs() > graceMs) for (const pid of left) sendSignal(pid, 'SIGKILL');
        await pause(50);
      }
      return first.length;
    },
  };
}

/**
 * Returns whether another server runs with this pid. If it is our own pid, the other server is dead and its pid was
 * reused: in a container every server has the pid 1.
 */
function isAnotherLivingServer(pid: number): boolean {
  return pid > 0 && pid !== process.pid && isAlive(pid);
}
