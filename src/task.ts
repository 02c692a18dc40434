/** The types that all of `src` shares: an agent's task, the events of its run, and its outcome. */

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
  /** The longest time from the agent's start to its result, in milliseconds. */
  runMs: number;
  /** The longest time for which the agent may be silent, in milliseconds. 0: no limit. */
  stallMs: number;
  /** The most that the agent may spend, in US dollars. The CLI enforces this limit. */
  budgetUsd: number;
};

/** What an agent must do, independent of the API that asked. */
export type Task = {
  /** The unique name of the run in logs, answers, folders and branches: letters, digits, `_` and `-`. */
  id: string;
  kind: 'chat' | 'job';
  owner: Owner;
  /** Name or alias of the model, as `claude --model` takes it. */
  model: string;
  /** Name of a Claude Code agent definition (`claude --agent`). */
  agent?: string;
  effort?: Effort;
  /**
   * Which agents may serve the task. `none`: only a new process, which ends with the run. `prewarmed`: also a prewarmed
   * agent, which ends with the run. `kept`: also a prewarmed or an idle agent, which is kept for a follow-up.
   */
  reuse: 'none' | 'prewarmed' | 'kept';
  /** Appended to the agent's own system prompt. */
  system?: string;
  /** The conversation so far, oldest first; the last message is the user's. */
  messages: Message[];
  /** The JSON Schema (draft 2020-12) that the answer must satisfy. Undefined if any text will do. */
  outputSchema?: Record<string, unknown>;
  limits: Limits;
};

export type StopReason = 'end_turn' | 'max_tokens' | 'refusal' | 'stop_sequence' | 'other';

/** Token counts. Each token is counted once: `inputTokens` excludes tokens read from or written to the cache. */
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
  /**
   * The last `length` UTF-16 code units of the run's text are void: the model's response broke off, and the agent has
   * asked for it anew.
   */
  | { type: 'text_dropped'; length: number }
  /** A tool that was called earlier still runs. */
  | { type: 'tool_progress'; id: string; name: string; seconds: number }
  /** A tool call was refused, because the agent has no permission for it. */
  | ({ type: 'denied'; id: string } & Denial)
  /** The cost of the run so far in US dollars. The CLI rounds it to a hundredth of a cent. */
  | { type: 'cost'; costUsd: number }
  /** The model API failed, and the agent will retry. */
  | { type: 'retry'; attempt: number; maxAttempts: number; delayMs: number; status?: number };

/** A tool call that was refused. */
export type Denial = {
  tool: string;
  /** The beginning of the tool's input, as JSON. Undefined in an event, since the call itself is an event too. */
  input?: string;
  /** Why it was refused, as the CLI says. */
  reason?: string;
};

/** An event in the event log of a run. */
export type RunEvent =
  | AgentEvent
  /** The run has got its workspace. Every run has one such event, before the agent starts. */
  | { type: 'workspace'; sync: SyncReport }
  /** The agent starts to work. Every run has at most one such event. */
  | { type: 'working'; start: AgentStart };

/**
 * Where a run's agent came from. `new`: started for this run. `prewarmed`: started ahead. `reset`: it served earlier runs,
 * and its conversation was emptied. `continued`: it holds this conversation.
 */
export type AgentStart = 'new' | 'prewarmed' | 'reset' | 'continued';

/** The result of a run that ended well. A failed run has a `ServiceError` instead. */
export type Outcome = {
  /** With an `outputSchema`: a JSON object. When the model refused: the reason, where the CLI gives one. */
  text: string;
  /** The sum over all models. Undefined only if the agent reported no usage, as with plain-text output. */
  usage?: Usage;
  costUsd?: number;
  models: Record<string, ModelUsage>;
  turns: number;
  durationMs: number;
  stopReason: StopReason;
  /** The tool calls that were refused. Undefined if there were none. */
  denials?: Denial[];
  sessionId?: string;
  exitCode?: number;
};

/** The result of syncing the workspace with its remote. The header `x-workspace-sync` shows it to clients. */
export type SyncReport = {
  state: 'synced' | 'unchanged' | 'failed' | 'off';
  /** Why the state is `failed` or `off`. */
  detail?: string;
  /** The commit on which the run begins. */
  revision?: string;
  /** How the run's files differ from what the user may expect, such as empty submodules. Each is a plain sentence. */
  notes?: string[];
};

/** A file that a run changed. Paths are relative to the repository; git quotes a path that is not UTF-8. */
export type ChangedFile = {
  path: string;
  change: 'added' | 'modified' | 'deleted' | 'renamed';
  /** The old path of a renamed file. */
  from?: string;
  /** The number of added lines. Undefined for a binary file, as is `removed`. */
  added?: number;
  removed?: number;
};

/**
 * A file or folder that is not in the patch. `ignored`, `empty_folder`, `special_file` (a socket, a pipe or a device) and
 * `nested_repository` (its history) are left out by rule. `converted`: git's attributes make it write other bytes.
 */
export type Omission = {
  path: string;
  reason:
    | 'ignored'
    | 'empty_folder'
    | 'special_file'
    | 'nested_repository'
    | 'submodule'
    | 'too_large'
    | 'unreadable'
    | 'path_too_long'
    | 'refused_name'
    | 'converted'
    | 'over_limit';
};

/** The result of committing and pushing a run's changes. */
export type Delivery = {
  state: 'pushed' | 'nothing_to_push' | 'failed';
  branch: string;
  commit?: string;
  /** Files in which a merge into the upstream, as it is now, would conflict. */
  conflicts?: string[];
  /** Why the delivery failed, or what the branch lacks. The patch is kept then. */
  detail?: string;
};

/** What a run changed in its workspace. */
export type WorkspaceResult = {
  /** The commit that the run began from. */
  revision?: string;
  files: ChangedFile[];
  /** What the run made and the patch does not hold. Undefined if there is nothing. The list is limited. */
  omitted?: Omission[];
  /**
   * The unified diff against `revision`, which `git apply` takes. Its size is limited. It holds no NUL, so that every
   * store can keep it as text.
   */
  patch?: string;
  /** Why the patch or the list of files is incomplete, for example its size. Undefined if both are complete. */
  patchOmitted?: string;
  delivery?: Delivery;
};
