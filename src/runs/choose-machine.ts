/** Chooses the machine for a chat run: this machine, or any machine that shares the store. */
import { ServiceError } from '../errors.ts';
import type { Outcome, Task } from '../task.ts';
import type { RunRemotely, RunTaskOptions } from './remote-run.ts';

export type RunTask = (task: Task, options: RunTaskOptions) => Promise<Outcome>;

export type MachineChoice = {
  run: RunTask;
  /** Sends no more runs to other machines. Settles when the runs that were sent have ended. */
  drain(): Promise<void>;
};

/** @param preferHere returns whether a run with this `whenBusy` is to get a slot of this process, even if it must wait */
export function chooseMachine(
  here: RunTask,
  preferHere: (whenBusy: RunTaskOptions['whenBusy']) => boolean,
  remotely: RunRemotely | undefined,
): MachineChoice {
  const away = new Set<Promise<Outcome>>();
  let draining = false;
  return {
    async run(task, options) {
      if (!remotely || preferHere(options.whenBusy)) return here(task, options);
      if (draining) throw new ServiceError('shutting_down');
      const outcome = remotely(task, options);
      away.add(outcome);
      return outcome.finally(() => away.delete(outcome));
    },
    async drain() {
      draining = true;
      await Promise.allSettled(away);
    },
  };
}
