/** How `jobs` ends: its exit statuses, and the one error that carries one. */
import type { JobJson } from '../../api/jobs/view.ts';

export const exitStatus = {
  done: 0,
  failed: 1,
  /** The command, or what it asks of the server, is wrong: an option, a field, the key, the id of a job. */
  usage: 2,
  /** The server cannot be reached, or takes no more jobs now. */
  unavailable: 3,
  interrupted: 4,
  /** As `timeout` ends. */
  timeout: 124,
  /** As a shell tells of Ctrl-C. */
  cancelled: 130,
} as const;

export type ExitStatus = (typeof exitStatus)[keyof typeof exitStatus];

/** Its message is one line for the user. */
export class CommandFailure extends Error {
  readonly status: ExitStatus;

  constructor(status: ExitStatus, message: string) {
    super(message);
    this.name = 'CommandFailure';
    this.status = status;
  }
}

/** Of a job that has ended. A branch that was asked for and is not there is a failure too. */
export function exitStatusOf({ status, workspace }: Pick<JobJson, 'status' | 'workspace'>): ExitStatus {
  switch (status) {
    case 'completed':
      return workspace?.delivery?.state === 'failed' ? exitStatus.failed : exitStatus.done;
    case 'timeout':
      return exitStatus.timeout;
    case 'cancelled':
      return exitStatus.cancelled;
    case 'interrupted':
      return exitStatus.interrupted;
    case 'failed':
    case 'queued':
    case 'running':
      return exitStatus.failed;
  }
}
