/** Leases a workspace and an agent in it for one run. Uses an idle or a prewarmed agent if the task allows it. */

import { Releases } from '../../releases.ts';
import type { AgentStart, Outcome, Task } from '../../task.ts';
import type { WorkspaceLease, Workspaces } from '../../workspaces/workspaces.ts';
import type { Agent, AgentStage, Session, TurnOptions } from '../agent.ts';
import { IdleAgents, type IdleSettings } from './idle.ts';
import { leaseFor } from './pooled-agent.ts';
import { PrewarmedAgents, type PrewarmedSettings } from './prewarmed.ts';

/** A workspace and the agent in it, leased for one run. */
export type AgentLease = {
  start: AgentStart;
  workspace: WorkspaceLease;
  run(task: Task, options: TurnOptions): Promise<Outcome>;
  /** Ends the agent's process tree now, so that the workspace can be examined. `release` must still be called. */
  endAgent(): Promise<void>;
  /**
   * Keeps the agent as an idle agent if the run ended well and the agent can serve another run. Otherwise ends the
   * agent and releases the workspace.
   */
  release(): Promise<void>;
};

export type AgentPool = {
  /**
   * Leases a workspace and an agent for a task. Throws `workspace_unavailable`, `agent_not_started`, or the signal's
   * reason.
   */
  lease(task: Task, signal: AbortSignal): Promise<AgentLease>;
  /** Ends every prewarmed and every idle agent. */
  destroy(): Promise<void>;
};

export type PoolSettings = { prewarmed: PrewarmedSettings; idle: IdleSettings };

type Stages = { workspaces: Workspaces; agents: AgentStage };

export function createPool({ workspaces, agents }: Stages, settings: PoolSettings): AgentPool {
  const prewarmed = new PrewarmedAgents({ workspaces, agents }, settings.prewarmed);
  const idle = new IdleAgents(agents, settings.idle);

  const leaseIdle = async (task: Task, signal: AbortSignal): Promise<AgentLease | undefined> => {
    const found = idle.take(task);
    const workspace = found && (await leaseFor(found, task, signal));
    if (!found || !workspace) return undefined;
    const { session, known } = found;
    if (known > 0) return sessionLease('continued', workspace, session, task, known);
    try {
      await (found.reset ?? session.reset(signal));
    } catch {
      await releaseBoth(workspace, session);
      return undefined;
    }
    return sessionLease('reset', workspace, session, task);
  };

  const leasePrewarmed = async (task: Task, signal: AbortSignal): Promise<AgentLease | undefined> => {
    const found = await prewarmed.take(task);
    const workspace = found && (await leaseFor(found, task, signal));
    if (!found || !workspace) return undefined;
    if (found.session.alive) return sessionLease('prewarmed', workspace, found.session, task);
    await releaseBoth(workspace, found.session);
    return undefined;
  };

  const leaseNew = async (task: Task, signal: AbortSignal): Promise<AgentLease> => {
    const workspace = await workspaces.lease(task.id, signal);
    try {
      signal.throwIfAborted();
      if (task.reuse === 'none') return singleLease('new', workspace, await agents.start(task, workspace));
      const session = await agents.startSession(task.id, agents.fixedOf(task), task.model, workspace);
      return sessionLease('new', workspace, session, task);
    } catch (error) {
      await workspace.release();
      throw error;
    }
  };

  /**
   * Returns the lease of a session.
   * @param known how many messages of the task the agent's conversation contains
   */
  const sessionLease = (
    start: AgentStart,
    workspace: WorkspaceLease,
    session: Session,
    task: Task,
    known = 0,
  ): AgentLease => {
    let current = session;
    let served: { task: Task; answers: string[] } | undefined;
    const work = async (options: TurnOptions): Promise<Outcome> => {
      try {
        return await current.continueFrom(known, task, options);
      } catch (error) {
        // The fault is not that of the task if an agent ends while it waits.
        if (start === 'new' || !current.lost || options.signal.aborted) throw error;
        await current.release();
        current = await agents.startSession(task.id, agents.fixedOf(task), task.model, workspace);
        return await current.run(task, options);
      }
    };
    return {
      start,
      workspace,
      async run(_, options) {
        let streamed = '';
        const onEvent: TurnOptions['onEvent'] = (event) => {
          if (event.type === 'text') streamed += event.text;
          if (event.type === 'text_dropped') streamed = streamed.slice(0, streamed.length - event.length);
          options.onEvent?.(event);
        };
        const outcome = await work({ ...options, onEvent });
        if (task.reuse === 'kept') served = { task, answers: [outcome.text, streamed] };
        return outcome;
      },
      async endAgent() {
        served = undefined;
        await current.release();
      },
      async release() {
        const isKept = served && idle.accepts(current) && (await current.isQuiet());
        const prepared = isKept ? await workspace.keep() : undefined;
        if (served && prepared) idle.add({ ...served, session: current, prepared });
        else await releaseBoth(workspace, current);
      },
    };
  };

  return {
    async lease(task, signal) {
      signal.throwIfAborted();
      switch (task.reuse) {
        case 'none':
          return leaseNew(task, signal);
        case 'prewarmed':
          return (await leasePrewarmed(task, signal)) ?? (await leaseNew(task, signal));
        case 'kept':
          return (
            (await leaseIdle(task, signal)) ?? (await leasePrewarmed(task, signal)) ?? (await leaseNew(task, signal))
          );
      }
    },
    async destroy() {
      await Promise.all([prewarmed.destroy(), idle.destroy()]);
    },
  };
}

/** Returns the lease of an agent that ends with its run. */
function singleLease(start: AgentStart, workspace: WorkspaceLease, agent: Agent): AgentLease {
  return {
    start,
    workspace,
    run: (task, options) => agent.run(task, options),
    endAgent: () => agent.release(),
    release: () => releaseBoth(workspace, agent),
  };
}

/**
 * Ends the agent, then releases the workspace, so that the agent cannot write in a workspace that another run already
 * has.
 */
function releaseBoth(workspace: WorkspaceLease, agent: { release(): Promise<void> }): Promise<void> {
  const releases = new Releases();
  releases.push(() => workspace.release());
  releases.push(() => agent.release());
  return releases.run();
}
