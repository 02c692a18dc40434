/** Where a chat request runs: here while a place is free, else on any machine that shares the store. */
import { ServiceError } from '../errors.ts';
import type { Outcome, Task } from '../task.ts';
import type { RunOptions } from './execute.ts';
import type { RemoteRuns } from './remote-runs.ts';

type Run = (task: Task, options: RunOptions) => Promise<Outcome>;
type Start = Parameters<NonNullable<RunOptions['onStart']>>[0];

export type RunAnywhere = {
  run: Run;
  /** Sends no more runs elsewhere; settles when those that went have ended. */
  drain(): Promise<void>;
};

/** @param freeHere whether a run would get a place in this process at once */
export function createRunAnywhere(here: Run, freeHere: () => boolean, remote: RemoteRuns | undefined): RunAnywhere {
  const away = new Set<Promise<Outcome>>();
  let draining = false;

  const send = (elsewhere: RemoteRuns, task: Task, options: RunOptions): Promise<Outcome> => {
    if (draining) throw new ServiceError('shutting_down', 'Cannot start the run: the server is stopping');
    const outcome = elsewhere.run(task, { ...options, onStart: (how) => options.onStart?.(how as Start) });
    away.add(outcome);
    return outcome.finally(() => away.delete(outcome));
  };

  return {
    async run(task, options) {
      return remote && !freeHere() ? send(remote, task, options) : here(task, options);
    },
    async drain() {
      draining = true;
      await Promise.allSettled(away);
    },
  };
}
