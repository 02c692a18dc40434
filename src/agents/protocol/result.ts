/** Reads the `result` message, with which the CLI ends a turn. */
import type { Denial, ModelUsage, StopReason, Usage } from '../../task.ts';
import { startOf } from '../../truncate.ts';
import { array, type Json, number, object, string } from './json.ts';

/** What a `result` message says. Costs and tokens are totals since the start of the process. */
export type AgentResult = {
  isError: boolean;
  subtype: string;
  text?: string;
  errors: string[];
  structured?: unknown;
  sessionId?: string;
  costUsd?: number;
  usage?: Usage;
  models: Record<string, ModelUsage>;
  turns: number;
  durationMs: number;
  stopReason: StopReason;
  /** The CLI's word for the cause of the end, such as `completed`, `api_error` or `prompt_too_long`. */
  terminalReason: string;
  /** The HTTP status with which the model API refused the last request. Undefined if there was no answer. */
  apiStatus?: number;
  /** The CLI's word for some failures of a request: `media_removed` for an image, or `connection_failed`. */
  apiError: string;
  denials: (Denial & { id: string })[];
  /** The ids of the lines that the result answers. Undefined if the CLI does not give them. */
  answers?: string[];
  /**
   * Whether the CLI began the turn by itself, as it does when a background task ends. Such a result answers no line.
   */
  spontaneous: boolean;
};

/** Returns whether a result answers the line with this id. */
export function isAnswerTo(result: AgentResult, id: string): boolean {
  return result.answers ? result.answers.includes(id) : !result.spontaneous;
}

export function readResult(message: Json): AgentResult {
  const models = Object.fromEntries(
    Object.entries(object(message['modelUsage'])).map(([model, usage]) => [model, readModelUsage(object(usage))]),
  );
  return {
    isError: message['is_error'] === true,
    subtype: string(message['subtype']),
    text: typeof message['result'] === 'string' ? message['result'] : undefined,
    errors: array(message['errors']).map(String),
    structured: message['structured_output'],
    sessionId: string(message['session_id']) || undefined,
    costUsd: number(message['total_cost_usd']),
    usage: Object.keys(models).length > 0 ? sumUsage(Object.values(models)) : readUsage(message['usage']),
    models,
    turns: number(message['num_turns']) ?? 0,
    durationMs: number(message['duration_ms']) ?? 0,
    stopReason: readStopReason(message['stop_reason']),
    terminalReason: string(message['terminal_reason']),
    apiStatus: number(message['api_error_status']),
    apiError: string(message['api_error']),
    denials: array(message['permission_denials']).map((denial) => readDenial(object(denial))),
    answers: Array.isArray(message['user_message_uuids']) ? message['user_message_uuids'].map(String) : undefined,
    spontaneous: object(message['origin'])['kind'] !== undefined,
  };
}

/** The most characters that are kept of a refused tool's input. */
const maxDeniedInput = 500;

function readDenial(denial: Json): Denial & { id: string } {
  const input = JSON.stringify(denial['tool_input'] ?? {});
  return {
    id: string(denial['tool_use_id']),
    tool: string(denial['tool_name']),
    input: startOf(input, maxDeniedInput),
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
