/** The path of a task on one screen: admit, take a workspace and an agent, run the turn, give everything back. */
import type { Admission } from '../admission/slots.ts';
import type { AgentPool, AgentStart } from '../agents/pool/pool.ts';
import { Releases } from '../releases.ts';
import type { AgentEvent, Outcome, SyncReport, Task } from '../task.ts';
import type { Lease } from '../workspaces/workspaces.ts';

export type Stages = {
  places: Admission;
  pool: AgentPool;
  /** What could not be given back; the outcome stands all the same. */
  onReleaseFailed(task: Task, error: unknown): void;
};

export type RunOptions = {
  /** Aborted when nobody wants the outcome any more; the reason is a `ServiceError`. */
  signal: AbortSignal;
  /** `refuse`: no free place is an error at once. `queue`: wait in turn, within the queue's bound. */
  whenBusy: 'refuse' | 'queue';
  /**
   * `after_release` (the default): the place is free again when the caller has its outcome, so that its next request
   * is not refused. `at_outcome`: the caller waits in a queue anyway and need not wait for a process to end.
   */
  settle?: 'after_release' | 'at_outcome';
  onEvent?: (event: AgentEvent) => void;
  /** Told once, before the agent starts. */
  onSync?: (report: SyncReport) => void;
  /** Told once, when the agent starts to work: from here on a repeat of the request would be a second run. */
  onStart?: (start: AgentStart) => void;
  /** Told before the workspace is given back; without an outcome the run ended badly. The agent has ended. */
  beforeRelease?: (workspace: Lease, outcome: Outcome | undefined) => Promise<void>;
};

/** Runs a task to its outcome. Throws a `ServiceError` for every bad end; everything taken is given back, in reverse. */
export async function runTask(stages: Stages, task: Task, options: RunOptions): Promise<Outcome> {
  const releases = new Releases();
  let outcome: Outcome | undefined;
  try {
    releases.push(await stages.places.admit(task, options));
    const lease = await stages.pool.lease(task, options.signal);
    releases.push(() => lease.release());
    options.onSync?.(lease.workspace.sync);
    options.onStart?.(lease.start);
    if (options.beforeRelease) {
      releases.push(() => options.beforeRelease?.(lease.workspace, outcome));
      releases.push(() => lease.endAgent());
    }
    outcome = await lease.run(task, options);
    return outcome;
  } finally {
    const released = releases.run().catch((error: unknown) => stages.onReleaseFailed(task, error));
    if (options.settle !== 'at_outcome') await released;
  }
}
