/** An agent in a folder of its own that no run has: it waits for its first turn, or rests after one. */

import type { Task } from '../../task.ts';
import type { Prepared, WorkspaceLease } from '../../workspaces/workspaces.ts';
import type { Session } from '../agent.ts';

export type Parked = { session: Session; prepared: Prepared };

/** The lease that its folder becomes for a task. Without one, or when there is none to be had, the agent ends. */
export async function claimFor(parked: Parked, task: Task, signal: AbortSignal): Promise<WorkspaceLease | undefined> {
  let workspace: WorkspaceLease | undefined;
  try {
    workspace = await parked.prepared.lease(task.id, signal);
  } finally {
    if (!workspace) await parked.session.release();
  }
  return workspace;
}

/** Ends the agent, then gives its folder up. */
export async function endParked(parked: Parked | undefined): Promise<void> {
  if (!parked) return;
  await parked.session.release();
  await parked.prepared.discard().catch(() => {});
}
