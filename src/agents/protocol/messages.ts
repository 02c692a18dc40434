/**
 * Reads the lines that `claude -p` prints in its stream-json protocol. Only this folder knows the CLI's field names.
 * The message types were measured on the CLI 2.1.299 and 2.1.329, and are published in
 * `@anthropic-ai/claude-agent-sdk`. New message types appear with almost every release, so messages of unknown types
 * are counted and ignored.
 */
import type { AgentEvent } from '../../task.ts';
import { array, type Json, number, object, string } from './json.ts';
import { type AgentResult, readResult } from './result.ts';

/** What the model says or does in a message of the main conversation. */
export type Block = { type: 'text'; text: string } | { type: 'tool_call'; id: string; name: string; input: unknown };

/** Why a request to the model failed. `kind` is the CLI's own word, such as `billing_error`. */
export type ModelFailure = { kind?: string; status?: number };

export type ProtocolMessage =
  | { type: 'turn_begins'; sessionId: string; model: string }
  /** The CLI begins to work on an input line. It sends this for every line, even for one that it adds to a turn. */
  | { type: 'line_begins'; id: string }
  /** The CLI asks the model. `lines` are the ids of the lines that the turn answers; there are none in its own turns. */
  | { type: 'asks_model'; lines: string[] }
  | { type: 'message_begins' }
  /** `byItself`: the model ended its message by its own decision. */
  | { type: 'message_ends'; byItself: boolean }
  | { type: 'text_part'; text: string }
  /** Finished blocks. The text of `blocks` has already come in parts, unless the CLI sends no parts. */
  | { type: 'blocks'; blocks: Block[] }
  /** The CLI's own sentence about a failed request, in place of an answer. */
  | { type: 'model_failed'; failure: ModelFailure }
  | { type: 'event'; event: AgentEvent }
  | { type: 'tool_results'; events: Extract<AgentEvent, { type: 'tool_result' }>[] }
  | { type: 'result'; result: AgentResult }
  /** `agents` are the names of the agent definitions, in the response to `initialize`. */
  | { type: 'control_response'; requestId: string; error?: string; costUsd?: number; agents?: string[] }
  /** `running` is the number of background tasks that run from now on. */
  | { type: 'background'; running: number }
  /** The usage limit of the login is reached. `resetsAt` is in milliseconds since 1970. */
  | { type: 'usage_limit'; resetsAt?: number }
  /** A hook of the operator stopped the turn. */
  | { type: 'hook_stopped' }
  /** A message that the server knows and does not need. */
  | { type: 'other' }
  | { type: 'unknown'; name: string };

const other: ProtocolMessage = { type: 'other' };

/** Reads a line. Returns undefined if it is not a message of this protocol, but plain text or other JSON. */
export function readMessage(line: string): ProtocolMessage | undefined {
  if (!line.startsWith('{')) return undefined;
  let message: Json;
  try {
    message = JSON.parse(line) as Json;
  } catch {
    return undefined;
  }
  switch (message['type']) {
    case 'stream_event':
      return message['parent_tool_use_id'] ? other : streamEvent(object(message['event']));
    case 'assistant':
      return message['parent_tool_use_id'] ? other : assistantMessage(message);
    case 'user':
      return { type: 'tool_results', events: message['parent_tool_use_id'] ? [] : toolResults(message) };
    case 'system':
      return systemMessage(message);
    case 'command_lifecycle':
      return message['state'] === 'started' ? { type: 'line_begins', id: string(message['command_uuid']) } : other;
    case 'tool_progress':
      return { type: 'event', event: toolProgress(message) };
    case 'rate_limit_event':
      return usageLimit(object(message['rate_limit_info']));
    case 'result':
      return { type: 'result', result: readResult(message) };
    case 'control_response':
      return controlResponse(object(message['response']));
    default:
      if (typeof message['type'] !== 'string') return undefined;
      return knownTypes.has(message['type']) ? other : { type: 'unknown', name: message['type'] };
  }
}

const knownTypes = new Set([
  'keep_alive',
  'conversation_reset',
  'tool_use_summary',
  'auth_status',
  'prompt_suggestion',
]);

const knownSubtypes = new Set([
  ...['task_started', 'task_updated', 'task_progress', 'task_notification', 'task_summary', 'thinking_tokens'],
  ...['hook_started', 'hook_progress', 'hook_response', 'stop_hook_summary', 'compact_boundary', 'turn_duration'],
  ...['model_fallback', 'model_refusal_fallback', 'model_refusal_no_fallback', 'session_state_changed'],
  ...['commands_changed', 'local_command', 'local_command_output', 'files_persisted', 'plugin_install'],
]);

/** Thinking blocks come only in parts, because nothing needs the whole block. */
function streamEvent(event: Json): ProtocolMessage {
  const delta = object(event['delta']);
  switch (event['type']) {
    case 'message_start':
      return { type: 'message_begins' };
    case 'message_delta':
      return { type: 'message_ends', byItself: delta['stop_reason'] !== 'max_tokens' };
    case 'content_block_delta':
      if (delta['type'] === 'text_delta') return { type: 'text_part', text: string(delta['text']) };
      if (delta['type'] !== 'thinking_delta') return other;
      return { type: 'event', event: { type: 'thinking', text: string(delta['thinking']) } };
    default:
      return other;
  }
}

function assistantMessage(message: Json): ProtocolMessage {
  if (message['is_api_error_message'] === true) {
    return {
      type: 'model_failed',
      failure: { kind: string(message['error']), status: number(message['api_error_status']) },
    };
  }
  const blocks = contentOf(message).flatMap((block): Block[] => {
    if (block['type'] === 'text') return [{ type: 'text', text: string(block['text']) }];
    if (block['type'] !== 'tool_use' || block['name'] === structuredOutputTool) return [];
    return [{ type: 'tool_call', id: string(block['id']), name: string(block['name']), input: block['input'] }];
  });
  return { type: 'blocks', blocks };
}

const structuredOutputTool = 'StructuredOutput';

function toolResults(message: Json): Extract<AgentEvent, { type: 'tool_result' }>[] {
  return contentOf(message)
    .filter((block) => block['type'] === 'tool_result')
    .map((block) => ({
      type: 'tool_result',
      id: string(block['tool_use_id']),
      isError: block['is_error'] === true,
      text: textOf(block['content']).replace(hookCommand, '$1: '),
    }));
}

/** The CLI puts the command of a hook that refuses a tool before its reason. It is a command of the operator's host. */
const hookCommand = /^(\w+:\S+ hook \w+): \[.*\]: /;

function systemMessage(message: Json): ProtocolMessage {
  switch (message['subtype']) {
    case 'init':
      return {
        type: 'turn_begins',
        sessionId: string(message['session_id']),
        model: string(message['model']),
      };
    case 'status':
      if (message['status'] !== 'requesting') return other;
      return { type: 'asks_model', lines: array(message['user_message_uuids']).map(String) };
    case 'api_retry':
      return { type: 'event', event: retryEvent(message) };
    case 'permission_denied':
      return { type: 'event', event: deniedEvent(message) };
    case 'background_tasks_changed':
      return { type: 'background', running: array(message['tasks']).length };
    case 'informational':
      return message['prompt_submit_outcome'] ? { type: 'hook_stopped' } : other;
    case 'notification':
      return message['key'] === 'stop-hook-block-cap' ? { type: 'hook_stopped' } : other;
    default:
      if (knownSubtypes.has(string(message['subtype']))) return other;
      return { type: 'unknown', name: `system/${string(message['subtype'])}` };
  }
}

/** The CLI's word for a failed connection and for causes that it does not know is `unknown`. */
function retryEvent(message: Json): AgentEvent {
  return {
    type: 'retry',
    attempt: number(message['attempt']) ?? 0,
    maxAttempts: number(message['max_retries']) ?? 0,
    delayMs: number(message['retry_delay_ms']) ?? 0,
    status: number(message['error_status']),
  };
}

function deniedEvent(message: Json): AgentEvent {
  const reason = string(message['decision_reason']) || string(message['message']);
  const tool = string(message['tool_name']);
  return { type: 'denied', id: string(message['tool_use_id']), tool, ...(reason !== '' && { reason }) };
}

/** The CLI sends it every 30 s. The id of the tool call is in `parent_tool_use_id`. */
function toolProgress(message: Json): AgentEvent {
  return {
    type: 'tool_progress',
    id: string(message['parent_tool_use_id']) || string(message['tool_use_id']),
    name: string(message['tool_name']),
    seconds: number(message['elapsed_time_seconds']) ?? 0,
  };
}

function usageLimit(info: Json): ProtocolMessage {
  if (info['status'] !== 'rejected') return other;
  const resetsAt = (number(info['resetsAt']) ?? Number.NaN) * 1000;
  // A value that is no time is left out.
  return { type: 'usage_limit', ...(Number.isFinite(new Date(resetsAt).getTime()) && { resetsAt }) };
}

function controlResponse(response: Json): ProtocolMessage {
  const failed = response['subtype'] === 'error';
  const { agents } = object(response['response']);
  return {
    type: 'control_response',
    requestId: string(response['request_id']),
    error: failed ? string(response['error']) || 'refused' : undefined,
    costUsd: costIn(object(response['response'])),
    ...(Array.isArray(agents) && { agents: agents.map((agent) => string(object(agent)['name'])) }),
  };
}

/**
 * Returns the cost in US dollars from the answer to `get_session_cost`, a text for people whose first amount is the
 * total.
 */
function costIn(summary: Json): number | undefined {
  const [, dollars] = /\$(\d+(?:\.\d+)?)/.exec(string(summary['text'])) ?? [];
  return dollars === undefined ? undefined : Number(dollars);
}

function contentOf(message: Json): Json[] {
  return array(object(message['message'])['content']).map(object);
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  return array(content)
    .map((block) => string(object(block)['text']))
    .join('');
}
