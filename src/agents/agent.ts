/** Defines the interface of the agents: what they can do, and how they are started and ended. */
import type { AgentEvent, Outcome, Task } from '../task.ts';

export type TurnOptions = { signal: AbortSignal; onEvent?: (event: AgentEvent) => void };

/** An agent that serves one run. */
export type Agent = {
  /** Runs the task's turn. Throws a `ServiceError`, or the signal's reason if `signal` aborts. */
  run(task: Task, options: TurnOptions): Promise<Outcome>;
  /** Ends the process tree. Settles when none of its processes runs. */
  release(): Promise<void>;
};

/** The values that cannot be changed once a process has started. It serves only tasks with the same values. */
export type Fixed = { agent?: string; budgetUsd: number };

/** An agent that can serve several turns, so it can be started before a run and kept after it. */
export type Session = Agent & {
  /** Runs the task in a conversation that already contains the first `known` messages of the task. */
  continueFrom(known: number, task: Task, options: TurnOptions): Promise<Outcome>;
  /**
   * Empties the conversation. Settles when the CLI has proved that a new conversation began, and throws if it has not.
   * The system prompt and the output schema of the first task stay, so they must be the same in later tasks.
   */
  reset(signal: AbortSignal): Promise<void>;
  readonly alive: boolean;
  /**
   * Whether the latest turn failed because the process had ended or was frozen, before the turn cost anything. Another
   * agent can then take the task.
   */
  readonly lost: boolean;
  /** How many turns the agent has served since it was started. */
  readonly turnsServed: number;
  /** The cost of its conversation so far, in US dollars. The budget with which it was started covers all its turns. */
  readonly spentUsd: number;
  /** Whether the agent has used tools, which may leave state behind that a reset does not remove. */
  readonly usedTools: boolean;
  /** Returns whether the turns have left nothing running: no background task and no process. */
  isQuiet(): Promise<boolean>;
  /** Settles when the process has ended, whether by itself or by `release`. */
  readonly ended: Promise<void>;
};

/** The folder in which an agent works. */
export type Folder = {
  path: string;
  /**
   * The top of the repository that contains `path`, or `path` itself if there is no repository. Nothing above it is
   * read. Undefined if the folder was made empty.
   */
  root?: string | undefined;
  /** How the files differ from what the agent would expect, such as empty submodules. Each is a plain sentence. */
  fileNotes?: string[] | undefined;
  /** Paths outside `path` that the agent's git needs. A sandbox must show them to the agent, read-only. */
  reads: string[];
};

/** Starts agents for runs, and ends them all. */
export type AgentStage = {
  /**
   * Returns an agent that serves only this run. Passes the prompt as an argument if possible, and otherwise over stdin.
   * Throws `agent_not_started`.
   */
  start(task: Task, folder: Folder): Promise<Agent>;
  /** Starts an agent that waits for its first turn. Throws `agent_not_started`. */
  startSession(id: string, fixed: Fixed, model: string, folder: Folder): Promise<Session>;
  /** Returns the values with which a session must have been started to serve the task. */
  fixedOf(task: Task): Fixed;
  /** Returns a text that changes when the `claude` command is replaced, so that old processes serve no further run. */
  identity(): string;
  /** Ends every agent now. */
  destroy(): Promise<void>;
};
