/** What the agent stage offers to the path of a task. */
import type { AgentEvent, Outcome, Task } from '../task.ts';

export type TurnOptions = { signal: AbortSignal; onEvent?: (event: AgentEvent) => void };

/** One agent, held for one run. */
export type Agent = {
  /** Runs the task's turn. Throws a `ServiceError`; when `signal` aborts, its reason. */
  run(task: Task, options: TurnOptions): Promise<Outcome>;
  /** Ends the process tree, or returns it to the pool. Settles when nothing of the run goes on. */
  release(): Promise<void>;
};

export type AgentStage = {
  /** Throws `agent_not_started`. */
  take(task: Task, workspacePath: string, signal: AbortSignal): Promise<Agent>;
  /** Ends every agent now. */
  destroy(): Promise<void>;
};
