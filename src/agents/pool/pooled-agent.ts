/** Defines a pooled agent: a prewarmed or idle agent that serves no run at the moment, with its own workspace. */

import type { Task } from '../../task.ts';
import type { Prepared, WorkspaceLease } from '../../workspaces/workspaces.ts';
import type { Session } from '../agent.ts';

export type PooledAgent = { session: Session; prepared: Prepared };

/**
 * Leases the agent's workspace for a task. Returns undefined if the workspace is out of date; the agent has then been
 * ended. Throws `workspace_unavailable`, or the signal's reason; the agent has then been ended too.
 */
export async function leaseFor(
  pooled: PooledAgent,
  task: Task,
  signal: AbortSignal,
): Promise<WorkspaceLease | undefined> {
  let workspace: WorkspaceLease | undefined;
  try {
    workspace = await pooled.prepared.lease(task.id, signal);
  } finally {
    if (!workspace) await pooled.session.release();
  }
  return workspace;
}

/** Ends the agent, then removes its workspace. */
export async function endPooled({ session, prepared }: PooledAgent): Promise<void> {
  await session.release();
  await prepared.discard().catch(() => {});
}
