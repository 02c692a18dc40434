/** Marks the processes of this server, and ends at its start what a dead server of the same data folder left running. */
import { createHash, randomUUID } from 'node:crypto';
import { listMarked } from './process-tree.ts';

export type Markers = {
  /** The tree marker for the processes of a run. */
  of(runId: string): string;
  /** Sends SIGTERM and, after `graceMs`, SIGKILL to all leftovers. Settles when none runs; answers how many there were. */
  endLeftovers(graceMs?: number): Promise<number>;
};

/** A marker is `folder:instance:pid:run`. Whose instance is another and whose server's pid is gone, is a leftover. */
export function createMarkers(dataDir: string): Markers {
  const folder = createHash('sha256').update(dataDir).digest('hex').slice(0, 12);
  const instance = randomUUID().slice(0, 8);
  const isLeftover = (marker: string) => {
    const [ofFolder, ofInstance, serverPid] = marker.split(':');
    return ofFolder === folder && ofInstance !== instance && !isAnotherLivingServer(Number(serverPid));
  };
  return {
    of: (runId) => `${folder}:${instance}:${process.pid}:${runId}`,
    async endLeftovers(graceMs = 1000) {
      const first = await listMarked(isLeftover);
      for (const pid of first) kill(pid, 'SIGTERM');
      const giveUp = performance.now() + graceMs + 3000;
      const killFrom = performance.now() + graceMs;
      for (let left = first; left.length > 0 && performance.now() < giveUp; left = await listMarked(isLeftover)) {
        if (performance.now() > killFrom) for (const pid of left) kill(pid, 'SIGKILL');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      return first.length;
    },
  };
}

/** Our own pid counts as gone: in a container every server is number 1. */
function isAnotherLivingServer(pid: number): boolean {
  if (!pid || pid === process.pid) return false;
  return kill(pid, 0);
}

function kill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
