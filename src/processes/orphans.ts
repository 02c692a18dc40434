/** Marks the processes of this server, and at its start ends those that a dead server of the same data folder left. */
import { createHash, randomUUID } from 'node:crypto';
import { pause } from '../waits.ts';
import { listMarked } from './process-tree.ts';
import { isAlive, sendSignal } from './signals.ts';

export type Markers = {
  /** The tree marker for the processes of a run. */
  of(runId: string): string;
  /** Ends all orphans: SIGTERM first, SIGKILL after a second. Settles when none runs. Returns how many there were. */
  endOrphans(): Promise<number>;
};

const graceMs = 1000;
/** A process that the kernel cannot end, as one that waits for a broken disk, must not keep the server from starting. */
const giveUpMs = 4000;

/**
 * A marker is `folder:instance:pid:run`. An orphan has the marker of the same data folder, but of another instance whose
 * server does not run any more.
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

/** Our own pid counts as gone: in a container every server is number 1. */
function isAnotherLivingServer(pid: number): boolean {
  return pid > 0 && pid !== process.pid && isAlive(pid);
}
