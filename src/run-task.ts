/** The path of a task on one screen: admit, lease a workspace, take an agent, run the turn, give everything back. */
import type { AgentStage } from './agent/agent.ts';
import type { Admission } from './queue/places.ts';
import { Releases } from './releases.ts';
import type { AgentEvent, Outcome, SyncReport, Task } from './task.ts';
import type { Workspaces } from './workspace/workspaces.ts';

export type Stages = {
  places: Admission;
  workspaces: Workspaces;
  agents: AgentStage;
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
  onStart?: () => void;
};

/** Runs a task to its outcome. Throws a `ServiceError` for every bad end; everything taken is given back, in reverse. */
export async function runTask(stages: Stages, task: Task, options: RunOptions): Promise<Outcome> {
  const releases = new Releases();
  try {
    releases.push(await stages.places.admit(task, options));
    const workspace = await stages.workspaces.lease(task.id, options.signal);
    releases.push(() => workspace.release());
    options.onSync?.(workspace.sync);
    const agent = await stages.agents.take(task, workspace.path, options.signal);
    releases.push(() => agent.release());
    options.onStart?.();
    return await agent.run(task, options);
  } finally {
    const released = releases.run().catch((error: unknown) => stages.onReleaseFailed(task, error));
    if (options.settle !== 'at_outcome') await released;
  }
}
