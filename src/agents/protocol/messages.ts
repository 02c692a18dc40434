/**
 * Reads the lines that `claude -p` prints in its stream-json protocol. Only this folder knows the CLI's field names.
 * The message types were measured on the CLI 2.1.329, and are published in `@anthropic-ai/claude-agent-sdk`.
 * New message types appear with almost every release, so messages of unknown types are counted and ignored.
 */
import type { AgentEvent } from '../../task.ts';
import { array, type Json, number, object, string } from './json.ts';
import { type AgentResult, readResult } from './result.ts';

export type ProtocolMessage =
  /** `agents` are the names of the agent definitions. The CLI sends them when a turn begins. */
  | { type: 'events'; events: AgentEvent[]; agents?: string[] }
  | { type: 'result'; result: AgentResult }
  | { type: 'control_response'; requestId: string; error?: string; costUsd?: number }
  /** `running` is the number of background tasks that run from now on. */
  | { type: 'background'; running: number }
  | { type: 'unknown'; name: string };

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
      return events(streamEvents(message));
    case 'assistant':
      return events(assistantEvents(message));
    case 'user':
      return events(toolResults(message));
    case 'system':
      return systemMessage(message);
    case 'result':
      return { type: 'result', result: readResult(message) };
    case 'control_response':
      return controlResponse(object(message['response']));
    default:
      return typeof message['type'] === 'string' ? { type: 'unknown', name: message['type'] } : undefined;
  }
}

function events(found: AgentEvent[]): Extract<ProtocolMessage, { type: 'events' }> {
  return { type: 'events', events: found };
}

/** Returns the text of the main conversation, token by token. Leaves out the text of sub-agents. */
function streamEvents(message: Json): AgentEvent[] {
  const event = object(message['event']);
  if (event['type'] !== 'content_block_delta' || message['parent_tool_use_id']) return [];
  const delta = object(event['delta']);
  if (delta['type'] === 'text_delta') return [{ type: 'text', text: string(delta['text']) }];
  if (delta['type'] === 'thinking_delta') return [{ type: 'thinking', text: string(delta['thinking']) }];
  return [];
}

/** Returns only the tool calls. The text has already come in partial messages. */
function assistantEvents(message: Json): AgentEvent[] {
  return contentOf(message)
    .filter((block) => block['type'] === 'tool_use' && block['name'] !== structuredOutputTool)
    .map((block) => ({
      type: 'tool_call',
      id: string(block['id']),
      name: string(block['name']),
      input: block['input'],
    }));
}

const structuredOutputTool = 'StructuredOutput';

function toolResults(message: Json): AgentEvent[] {
  return contentOf(message)
    .filter((block) => block['type'] === 'tool_result')
    .map((block) => ({
      type: 'tool_result',
      id: string(block['tool_use_id']),
      isError: block['is_error'] === true,
      text: textOf(block['content']),
    }));
}

function systemMessage(message: Json): ProtocolMessage {
  switch (message['subtype']) {
    case 'init':
      return {
        ...events([{ type: 'started', sessionId: string(message['session_id']), model: string(message['model']) }]),
        ...(Array.isArray(message['agents']) && { agents: message['agents'].map(String) }),
      };
    case 'api_retry':
      return events([
        {
          type: 'retry',
          attempt: number(message['attempt']) ?? 0,
          maxAttempts: number(message['max_retries']) ?? 0,
          delayMs: number(message['retry_delay_ms']) ?? 0,
          status: number(message['error_status']),
        },
      ]);
    case 'background_tasks_changed':
      return { type: 'background', running: array(message['tasks']).length };
    default:
      return { type: 'unknown', name: `system/${string(message['subtype'])}` };
  }
}

function controlResponse(response: Json): ProtocolMessage {
  const failed = response['subtype'] === 'error';
  return {
    type: 'control_response',
    requestId: string(response['request_id']),
    error: failed ? string(response['error']) || 'refused' : undefined,
    costUsd: costIn(object(response['response'])),
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
  if (message['parent_tool_use_id']) return [];
  return array(object(message['message'])['content']).map(object);
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  return array(content)
    .map((block) => string(object(block)['text']))
    .join('');
}
