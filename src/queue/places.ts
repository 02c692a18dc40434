/** Who runs and who waits: a fixed number of places, and a bounded queue before them. */
import type { Release } from '../releases.ts';
import type { Task } from '../task.ts';

export type Places = {
  /**
   * Takes a place for the task; the release gives it back. Throws `agent_busy` (with `refuse`), `queue_full`,
   * `wait_timeout` or `shutting_down`, each before anything was started, or the signal's reason.
   */
  admit(task: Task, options: { signal: AbortSignal; whenBusy: 'refuse' | 'queue' }): Promise<Release>;
};
