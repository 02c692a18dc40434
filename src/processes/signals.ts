/** Sends signals to processes. This is the only file that uses `process.kill`. */

/**
 * Sends a signal to a process, or to a whole process group if `pid` is the negative pid of its leader. Returns `false`
 * if the signal could not be sent, because the process has ended or belongs to another user. Never throws: most callers
 * are timers, where an error would end the server.
 */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** Returns whether a process exists, even if it belongs to another user and cannot be sent a signal. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
