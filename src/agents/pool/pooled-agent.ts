/** An agent that no run has, in a workspace of its own: prewarmed or idle. */

import type { Task } from '../../task.ts';
import type { Prepared, WorkspaceLease } from '../../workspaces/workspaces.ts';
import type { Session } from '../agent.ts';

export type PooledAgent = { session: Session; prepared: Prepared };

/**
 * Makes its workspace the workspace of a task. `undefined`: the workspace is too old, and the agent has been ended.
 * Throws `workspace_unavailable`, or the signal's reason; the agent has then been ended too.
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
