/** The types that all stages share: the task of an agent, the events of its run, and its outcome. */

/** A part of a message, in the terms of the Anthropic Messages API. */
export type Block =
  | { type: 'text'; text: string }
  | { type: 'image'; mediaType: string; base64: string }
  | { type: 'tool_use'; id: string; name: string; input: unknown }
  | { type: 'tool_result'; toolUseId: string; text: string; isError: boolean };

export type Message = { role: 'user' | 'assistant'; blocks: Block[] };

export type Effort = 'low' | 'medium' | 'high' | 'xhigh' | 'max';

/** The caller: a short digest of its key, which tells callers apart. Keys themselves are never stored. */
export type Owner = string;

export type Limits = {
  /** Whole run, from the agent's start to its result. Milliseconds. */
  runMs: number;
  /** The longest silence of the agent before it counts as stalled. Milliseconds; 0 means no such limit. */
  stallMs: number;
  /** What the agent may spend, in US dollars; the CLI enforces it. */
  budgetUsd: number;
};

/** What an agent is to do, in the words of no API. */
export type Task = {
  /** Unique; names the run in logs, answers, folders and branches. Letters, digits, `_` and `-`. */
  id: string;
  kind: 'chat' | 'job';
  owner: Owner;
  /** Name or alias of the model, as `claude --model` takes it. */
  model: string;
  /** Name of a Claude Code agent definition (`claude --agent`). */
  agent?: string;
  effort?: Effort;
  /**
   * `none`: a process of its own, which serves no other run. `prewarmed`: a prewarmed agent may serve it, and ends with
   * it. `kept`: a prewarmed or an idle agent may serve it, and is kept for a follow-up.
   */
  reuse: 'none' | 'prewarmed' | 'kept';
  /** Appended to the agent's own system prompt. */
  system?: string;
  /** The conversation so far, oldest first; the last message is the user's. */
  messages: Message[];
  /** JSON Schema (draft 2020-12) that the answer must satisfy. */
  outputSchema?: Record<string, unknown>;
  limits: Limits;
};

export type StopReason = 'end_turn' | 'max_tokens' | 'refusal' | 'stop_sequence' | 'other';

/** Token counts of one model, each token counted once: `inputTokens` excludes cache reads and writes. */
export type Usage = {
  inputTokens: number;
  cacheReadTokens: number;
  cacheWriteTokens: number;
  outputTokens: number;
};

export type ModelUsage = Usage & { costUsd: number };

/** What an agent reports while it works. */
export type AgentEvent =
  | { type: 'started'; sessionId: string; model: string }
  | { type: 'text'; text: string }
  | { type: 'thinking'; text: string }
  | { type: 'tool_call'; id: string; name: string; input: unknown }
  | { type: 'tool_result'; id: string; isError: boolean; text: string }
  /** The cost of the run so far in US dollars, as the CLI reports it: rounded to a hundredth of a cent. */
  | { type: 'cost'; costUsd: number }
  /** The model API failed, and the agent will retry. */
  | { type: 'retry'; attempt: number; maxAttempts: number; delayMs: number; status?: number };

/** What stands in the event log of a run. */
export type RunEvent =
  | AgentEvent
  /** The run has its workspace. Once, before the agent starts. */
  | { type: 'workspace'; sync: SyncReport }
  /** The agent starts to work. Once. */
  | { type: 'working'; start: AgentStart };

/**
 * Where a run's agent came from. `new`: started for this run. `prewarmed`: started ahead. `reset`: it served earlier runs,
 * and its conversation was emptied. `continued`: it holds this conversation.
 */
export type AgentStart = 'new' | 'prewarmed' | 'reset' | 'continued';

/** The result of a run that ended well. A run that failed has a `ServiceError`. */
export type Outcome = {
  /** With an `outputSchema`: a JSON object. When the model refused: the reason, where the CLI gives one. */
  text: string;
  /** Sum over all models. `undefined` only when the agent reported none (plain-text output). */
  usage?: Usage;
  costUsd?: number;
  models: Record<string, ModelUsage>;
  turns: number;
  durationMs: number;
  stopReason: StopReason;
  sessionId?: string;
  exitCode?: number;
};

/** The result of the workspace's sync with its remote; also in the header `x-workspace-sync`. */
export type SyncReport = {
  state: 'synced' | 'unchanged' | 'failed' | 'off';
  /** Why it is `failed` or `off`. */
  detail?: string;
  /** The commit on which the run begins. */
  revision?: string;
  /** How the run's files differ from what the user may expect, such as empty submodules. Each is a plain sentence. */
  notes?: string[];
};

/** A file that a run changed, by its path in the repository. */
export type ChangedFile = {
  path: string;
  change: 'added' | 'modified' | 'deleted' | 'renamed';
  /** Where a renamed file was. */
  from?: string;
  /** Lines; absent for a binary file. */
  added?: number;
  removed?: number;
};

/** The result of committing and pushing a run's changes. */
export type Delivery = {
  state: 'pushed' | 'nothing_to_push' | 'failed';
  branch: string;
  commit?: string;
  /** Files in which a merge into the upstream, as it is now, would conflict. */
  conflicts?: string[];
  /** Why it failed; the patch is kept. */
  detail?: string;
};

/** What a run changed in its workspace. */
export type WorkspaceResult = {
  /** The commit that the run began from. */
  revision?: string;
  files: ChangedFile[];
  /** Unified diff against `revision`, applicable with `git apply`; bounded by the workspace stage. */
  patch?: string;
  /** Why the patch, or the list of files, is incomplete, such as its size. */
  patchOmitted?: string;
  delivery?: Delivery;
};
