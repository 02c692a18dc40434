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

/** What is fixed when a process starts; a process serves only tasks that agree on it. */
export type Fixed = { agent?: string; budgetUsd: number };

/** An agent that can take further turns, and so can be started ahead and kept. */
export type Session = Agent & {
  /** Runs the task's last turn in a conversation that already holds the first `known` turns of the task. */
  continueFrom(known: number, task: Task, options: TurnOptions): Promise<Outcome>;
  /**
   * Empties the conversation. Settles when the CLI has proved that a new one began; throws when it has not. What the
   * first task fixed (system prompt, output schema) stays: a later task must have the same.
   */
  clear(signal: AbortSignal): Promise<void>;
  readonly alive: boolean;
  /** How many turns it has served since it was started. */
  readonly turnsServed: number;
  /** US dollars that its conversation has cost; the budget that it was started with is for all its turns together. */
  readonly spentUsd: number;
  /** Whether tools were used, which may leave state behind that no clearing removes. */
  readonly usedTools: boolean;
  /** Whether nothing goes on that its turns have started: no background task and no process. */
  isQuiet(): Promise<boolean>;
  /** Settles when the process has ended, for whatever reason. */
  readonly ended: Promise<void>;
};

/** Where an agent works. */
export type Folder = {
  path: string;
  /** The top of the repository that it is in: nothing above is looked at. Absent: the folder is new and empty. */
  root?: string | undefined;
  /** What a sandbox must show besides, to read only. */
  reads: string[];
};

export type AgentStage = {
  /** An agent for one run. Throws `agent_not_started`. */
  take(task: Task, folder: Folder, signal: AbortSignal): Promise<Agent>;
  /** A process that waits for its first turn. Throws `agent_not_started`. */
  startSession(id: string, fixed: Fixed, model: string, folder: Folder): Promise<Session>;
  /** Whether a task can be served by a session that was started for `fixed`. */
  fixedOf(task: Task): Fixed | undefined;
  /** Another word when the command was replaced, so that processes of the old one are not used any more. */
  identity(): string;
  /** Ends every agent now. */
  destroy(): Promise<void>;
};
