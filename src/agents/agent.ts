/** What the agent stage offers: agents, each for one run or for a conversation. */
import type { AgentEvent, Outcome, Task } from '../task.ts';

export type TurnOptions = { signal: AbortSignal; onEvent?: (event: AgentEvent) => void };

/** One agent, held for one run. */
export type Agent = {
  /** Runs the task's turn. Throws a `ServiceError`; when `signal` aborts, its reason. */
  run(task: Task, options: TurnOptions): Promise<Outcome>;
  /** Ends the process tree. Settles when none of its processes runs. */
  release(): Promise<void>;
};

/** What cannot be changed once a process has started: it serves only tasks with the same values. */
export type Fixed = { agent?: string; budgetUsd: number };

/** An agent that can take further turns, and so can be started ahead and kept. */
export type Session = Agent & {
  /** Runs the task in a conversation that already holds its first `known` messages. */
  continueFrom(known: number, task: Task, options: TurnOptions): Promise<Outcome>;
  /**
   * Empties the conversation. Settles when the CLI has proved that a new one began; throws when it has not. The system
   * prompt and the output schema of the first task stay: a later task must have the same.
   */
  reset(signal: AbortSignal): Promise<void>;
  readonly alive: boolean;
  /** How many turns it has served since it was started. */
  readonly turnsServed: number;
  /** US dollars that its conversation has cost. The budget that it was started with is for all its turns together. */
  readonly spentUsd: number;
  /** Whether tools were used: they may leave state behind that no reset removes. */
  readonly usedTools: boolean;
  /** Whether its turns have left nothing running: no background task and no process. */
  isQuiet(): Promise<boolean>;
  /** Settles when the process has ended, by itself or not. */
  readonly ended: Promise<void>;
};

/** Where an agent works. */
export type Folder = {
  path: string;
  /** The top of the repository that it is in: nothing above it is read. Absent: the folder is new and empty. */
  root?: string | undefined;
  /** Further paths that a sandbox must show, read-only. */
  reads: string[];
};

export type AgentStage = {
  /**
   * An agent for this run alone: its prompt is an argument where that is possible, else it goes over stdin. Throws
   * `agent_not_started`.
   */
  start(task: Task, folder: Folder): Promise<Agent>;
  /** A process that waits for its first turn. Throws `agent_not_started`. */
  startSession(id: string, fixed: Fixed, model: string, folder: Folder): Promise<Session>;
  /** What a session must have been started with to serve a task. */
  fixedOf(task: Task): Fixed;
  /** Changes when the command is replaced, so that processes of the old command serve no further run. */
  identity(): string;
  /** Ends every agent now. */
  destroy(): Promise<void>;
};
