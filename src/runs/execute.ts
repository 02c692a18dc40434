/** The path of every run on one screen: admit, lease a workspace and an agent, work, release. */
import type { AgentPool } from '../agents/pool/pool.ts';
import { asServiceError, type ServiceError } from '../errors.ts';
import { type Release, Releases } from '../releases.ts';
import type { AgentStart, Outcome, Task } from '../task.ts';
import type { WorkspaceLease } from '../workspaces/workspaces.ts';
import type { RunContext } from './run.ts';

export type ExecuteStages = {
  pool: AgentPool;
  /** Called for every run, for the log and the metrics. Times are in milliseconds. */
  observer: {
    runStarted(task: Task, start: AgentStart): void;
    runEnded(task: Task, outcome: Outcome, ms: number): void;
    runFailed(task: Task, error: ServiceError, ms: number): void;
    /** Called when something could not be released. The end of the run does not change. */
    releaseFailed(task: Task, error: unknown): void;
  };
};

export type ExecuteOptions = RunContext & {
  /** The function that releases the run's slot, or the promise of that function while the run waits for a slot. */
  slot: Release | Promise<Release>;
  /**
   * When the returned promise settles. `after_release`: when the slot is free again, so that the client's next request
   * is not refused. `at_outcome`: as soon as there is an outcome; the next request waits in the queue until the slot is
   * free.
   */
  settle: 'after_release' | 'at_outcome';
  /**
   * Collects the changes in the workspace before it is released. The agent has ended by then. The outcome is undefined
   * if the run failed.
   */
  collect?(workspace: WorkspaceLease, outcome: Outcome | undefined): Promise<void>;
};

/**
 * Runs a task and returns its outcome. Throws a `ServiceError` if the run fails. Releases everything that it acquired,
 * in reverse order.
 */
export async function execute(stages: ExecuteStages, task: Task, options: ExecuteOptions): Promise<Outcome> {
  const { signal, emit, collect } = options;
  const began = performance.now();
  const releases = new Releases();
  let outcome: Outcome | undefined;
  try {
    releases.push(await options.slot);
    const agent = await stages.pool.lease(task, signal);
    releases.push(() => agent.release());
    emit({ type: 'workspace', sync: agent.workspace.sync });
    stages.observer.runStarted(task, agent.start);
    emit({ type: 'working', start: agent.start });
    if (collect) {
      releases.push(() => collect(agent.workspace, outcome));
      releases.push(() => agent.endAgent());
    }
    outcome = await agent.run(task, { signal, onEvent: emit });
    stages.observer.runEnded(task, outcome, performance.now() - began);
    return outcome;
  } catch (thrown) {
    const error = asServiceError(thrown);
    stages.observer.runFailed(task, error, performance.now() - began);
    throw error;
  } finally {
    const released = releases.run().catch((error: unknown) => stages.observer.releaseFailed(task, error));
    if (options.settle === 'after_release') await released;
  }
}
