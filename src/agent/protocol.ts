/**
 * The stream-json protocol of `claude -p`: lines in, lines out. The only file that knows its field names.
 * Source: measured on the CLI 2.1.329, and the message types that `@anthropic-ai/claude-agent-sdk` publishes.
 * New message types appear with almost every release, so what is not known is counted and passed over.
 */
import type { AgentEvent, Block, ModelUsage, StopReason, Turn, Usage } from '../task.ts';

/** The agent's own account of a turn, before it is judged. Costs and tokens are cumulative for the process. */
export type AgentResult = {
  isError: boolean;
  subtype: string;
  text?: string;
  errors: string[];
  apiErrorStatus?: number;
  structured?: unknown;
  sessionId?: string;
  costUsd?: number;
  usage?: Usage;
  models: Record<string, ModelUsage>;
  turns: number;
  durationMs: number;
  stopReason: StopReason;
};

export type ProtocolMessage =
  | { type: 'events'; events: AgentEvent[] }
  | { type: 'result'; result: AgentResult }
  | { type: 'control_response'; requestId: string; error?: string; response?: unknown }
  | { type: 'unknown'; name: string };

type Json = Record<string, unknown>;

/** `undefined`: the line is no message of this protocol (plain text, or other JSON). */
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

function events(found: AgentEvent[]): ProtocolMessage {
  return { type: 'events', events: found };
}

/** Token by token, of the main conversation; what a sub-agent says is its own affair. */
function streamEvents(message: Json): AgentEvent[] {
  const event = object(message['event']);
  if (event['type'] !== 'content_block_delta' || message['parent_tool_use_id']) return [];
  const delta = object(event['delta']);
  if (delta['type'] === 'text_delta') return [{ type: 'text', text: string(delta['text']) }];
  if (delta['type'] === 'thinking_delta') return [{ type: 'thinking', text: string(delta['thinking']) }];
  return [];
}

/** Text is left out: the partial messages have told it already. */
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
      return events([{ type: 'started', sessionId: string(message['session_id']), model: string(message['model']) }]);
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
    response: response['response'],
  };
}

function readResult(message: Json): AgentResult {
  const models = Object.fromEntries(
    Object.entries(object(message['modelUsage'])).map(([model, usage]) => [model, readModelUsage(object(usage))]),
  );
  return {
    isError: message['is_error'] === true,
    subtype: string(message['subtype']),
    text: typeof message['result'] === 'string' ? message['result'] : undefined,
    errors: array(message['errors']).map(String),
    apiErrorStatus: number(message['api_error_status']),
    structured: message['structured_output'],
    sessionId: string(message['session_id']) || undefined,
    costUsd: number(message['total_cost_usd']),
    usage: Object.keys(models).length > 0 ? sumUsage(Object.values(models)) : readUsage(message['usage']),
    models,
    turns: number(message['num_turns']) ?? 0,
    durationMs: number(message['duration_ms']) ?? 0,
    stopReason: readStopReason(message['stop_reason']),
  };
}

function readModelUsage(usage: Json): ModelUsage {
  return {
    inputTokens: number(usage['inputTokens']) ?? 0,
    cacheReadTokens: number(usage['cacheReadInputTokens']) ?? 0,
    cacheWriteTokens: number(usage['cacheCreationInputTokens']) ?? 0,
    outputTokens: number(usage['outputTokens']) ?? 0,
    costUsd: number(usage['costUSD']) ?? 0,
  };
}

function readUsage(value: unknown): Usage | undefined {
  const usage = object(value);
  if (number(usage['input_tokens']) === undefined) return undefined;
  return {
    inputTokens: number(usage['input_tokens']) ?? 0,
    cacheReadTokens: number(usage['cache_read_input_tokens']) ?? 0,
    cacheWriteTokens: number(usage['cache_creation_input_tokens']) ?? 0,
    outputTokens: number(usage['output_tokens']) ?? 0,
  };
}

export function sumUsage(parts: Usage[]): Usage {
  return {
    inputTokens: parts.reduce((sum, part) => sum + part.inputTokens, 0),
    cacheReadTokens: parts.reduce((sum, part) => sum + part.cacheReadTokens, 0),
    cacheWriteTokens: parts.reduce((sum, part) => sum + part.cacheWriteTokens, 0),
    outputTokens: parts.reduce((sum, part) => sum + part.outputTokens, 0),
  };
}

function readStopReason(value: unknown): StopReason {
  switch (value) {
    case 'end_turn':
    case 'max_tokens':
    case 'refusal':
    case 'stop_sequence':
      return value;
    default:
      return 'other';
  }
}

/**
 * A user turn. `client_composed` makes the CLI deliver the text as written: no `@path` is inlined and no `/command` run.
 * @param query false appends it to the conversation without a turn; the CLI acknowledges with an empty result
 */
export function userLine(turn: Turn, query: boolean): string {
  const message = { role: 'user', content: turn.blocks.map(wireBlock) };
  return line({
    type: 'user',
    message,
    parent_tool_use_id: null,
    client_composed: true,
    ...(query ? {} : { shouldQuery: false }),
  });
}

/** An assistant turn of the history. Not acknowledged. */
export function assistantLine(turn: Turn): string {
  return line({
    type: 'assistant',
    message: { role: 'assistant', content: turn.blocks.map(wireBlock) },
    parent_tool_use_id: null,
  });
}

/** Empties the conversation; it must be dispatched as a command, so it is not `client_composed`. */
export function clearLine(): string {
  return line({ type: 'user', message: { role: 'user', content: '/clear' }, parent_tool_use_id: null });
}

export type ControlRequest =
  | { subtype: 'initialize'; appendSystemPrompt?: string; jsonSchema?: Record<string, unknown> }
  | { subtype: 'set_model'; model: string }
  | { subtype: 'interrupt' }
  | { subtype: 'apply_flag_settings'; settings: Record<string, unknown> };

export function controlLine(requestId: string, request: ControlRequest): string {
  return line({ type: 'control_request', request_id: requestId, request });
}

function wireBlock(block: Block): Json {
  switch (block.type) {
    case 'text':
      return { type: 'text', text: block.text };
    case 'image':
      return { type: 'image', source: { type: 'base64', media_type: block.mediaType, data: block.base64 } };
    case 'tool_use':
      return { type: 'tool_use', id: block.id, name: block.name, input: block.input };
    case 'tool_result':
      return { type: 'tool_result', tool_use_id: block.toolUseId, content: block.text, is_error: block.isError };
  }
}

function line(message: Json): string {
  return `${JSON.stringify(message)}\n`;
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

function object(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

function array(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function string(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
