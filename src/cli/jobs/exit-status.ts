/** The exit statuses of `jobs`, and an error that carries an exit status. */
import type { JobJson } from '../../api/jobs/render-job.ts';

export const exitStatus = {
  done: 0,
  failed: 1,
  /** The command or its request is wrong: an option, a field, the key, the id of a job. */
  usage: 2,
  /** The server cannot be reached, or accepts no more jobs now. */
  unavailable: 3,
  interrupted: 4,
  /** The exit status of the command `timeout` when a time limit is reached. */
  timeout: 124,
  /** The exit status that a shell reports for a command that Ctrl-C ended. */
  cancelled: 130,
} as const;

export type ExitStatus = (typeof exitStatus)[keyof typeof exitStatus];

/** An error that ends the command with an exit status. Its message is one line for the user. */
export class CommandFailure extends Error {
  readonly status: ExitStatus;

  constructor(status: ExitStatus, message: string) {
    super(message);
    this.name = 'CommandFailure';
    this.status = status;
  }
}

/** Returns the exit status for an ended job. A completed job whose branch could not be pushed counts as failed. */
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
