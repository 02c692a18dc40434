/** Sends signals to processes. The only user of `process.kill`. */

/**
 * Sends a signal to a process, or to a whole process group by the negative of its leader's pid. `false`: it could not be
 * sent, because the process is gone or belongs to another user. Never throws: most callers are timers, where a thrown
 * error would end the server.
 */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** Whether a process exists; one of another user does, although it cannot be signalled. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
