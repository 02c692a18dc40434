/** A workspace and the agent in it, taken for one run: the fastest that is there and safe, else a new one. */

import { Releases } from '../../releases.ts';
import type { Outcome, Task } from '../../task.ts';
import type { WorkspaceLease, Workspaces } from '../../workspaces/workspaces.ts';
import type { AgentStage, Session, TurnOptions } from '../agent.ts';
import { Resting, type RestingSettings } from './idle.ts';
import { claimFor } from './parked.ts';
import { type SpareSettings, Spares } from './prewarmed.ts';

/** How a run's agent came to be: for the log, the metrics and the benchmark. */
export type Start = 'cold' | 'warm' | 'recycled' | 'continued';

export type Seat = {
  start: Start;
  workspace: WorkspaceLease;
  run(task: Task, options: TurnOptions): Promise<Outcome>;
  /** Ends the agent's whole tree now, before the workspace is looked at; `release` is still due. */
  endAgent(): Promise<void>;
  /** Ends the agent, or lets it rest when its run ended well; then gives the workspace back. */
  release(): Promise<void>;
};

export type Seats = {
  /** Throws `workspace_unavailable`, `agent_not_started`, or the signal's reason. */
  take(task: Task, signal: AbortSignal): Promise<Seat>;
  /** Ends every agent that waits or rests. */
  destroy(): Promise<void>;
};

export type SeatSettings = { spares: SpareSettings; resting: RestingSettings };

type Stages = { workspaces: Workspaces; agents: AgentStage };

export function createSeats(stages: Stages, settings: SeatSettings): Seats {
  const spares = new Spares(stages, settings.spares);
  const resting = new Resting(stages.agents, settings.resting);

  const takeKept = async (task: Task, signal: AbortSignal): Promise<Seat | undefined> => {
    const kept = resting.take(task);
    const workspace = kept && (await claimFor(kept, task, signal));
    if (!kept || !workspace) return undefined;
    if (kept.known > 0) return seatOf('continued', workspace, kept.session, kept.known);
    try {
      await (kept.cleared ?? kept.session.clear(signal));
    } catch {
      await releaseBoth(workspace, kept.session);
      return undefined;
    }
    return seatOf('recycled', workspace, kept.session, 0);
  };

  const takeSpare = async (task: Task, signal: AbortSignal): Promise<Seat | undefined> => {
    const spare = await spares.take(task);
    const workspace = spare && (await claimFor(spare, task, signal));
    if (!spare || !workspace) return undefined;
    if (spare.session.alive) return seatOf('warm', workspace, spare.session, 0);
    await releaseBoth(workspace, spare.session);
    return undefined;
  };

  const takeNew = async (task: Task, signal: AbortSignal): Promise<Seat> => {
    const workspace = await stages.workspaces.lease(task.id, signal);
    try {
      const agent = await stages.agents.take(task, workspace, signal);
      if ('continueFrom' in agent) return seatOf('cold', workspace, agent as Session, 0);
      return {
        start: 'cold',
        workspace,
        run: (turn, options) => agent.run(turn, options),
        endAgent: () => agent.release(),
        release: () => releaseBoth(workspace, agent),
      };
    } catch (error) {
      await workspace.release();
      throw error;
    }
  };

  const seatOf = (start: Start, workspace: WorkspaceLease, session: Session, known: number): Seat => {
    let served: { task: Task; told: string[] } | undefined;
    return {
      start,
      workspace,
      async run(task, options) {
        let streamed = '';
        const onEvent: TurnOptions['onEvent'] = (event) => {
          if (event.type === 'text') streamed += event.text;
          options.onEvent?.(event);
        };
        const outcome = await session.continueFrom(known, task, { ...options, onEvent });
        served = { task, told: [outcome.text, streamed] };
        return outcome;
      },
      async endAgent() {
        served = undefined;
        await session.release();
      },
      async release() {
        const mayRest = served && resting.wants(served.task, session) && (await session.isQuiet());
        const prepared = mayRest ? await workspace.keep() : undefined;
        if (served && prepared) resting.add({ ...served, session, prepared });
        else await releaseBoth(workspace, session);
      },
    };
  };

  return {
    async take(task, signal) {
      signal.throwIfAborted();
      if (!stages.agents.fixedOf(task)) return takeNew(task, signal);
      return (await takeKept(task, signal)) ?? (await takeSpare(task, signal)) ?? (await takeNew(task, signal));
    },
    async destroy() {
      await Promise.all([spares.destroy(), resting.destroy()]);
    },
  };
}

/** The agent first: nothing of it may write in a folder that is another's already. */
function releaseBoth(workspace: WorkspaceLease, agent: { release(): Promise<void> }): Promise<void> {
  const releases = new Releases();
  releases.push(() => workspace.release());
  releases.push(() => agent.release());
  return releases.run();
}
