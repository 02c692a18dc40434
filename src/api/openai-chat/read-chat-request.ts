/** Reads a chat completion request: what the agent is to do, and how the caller wants the answer. */
import { invalidField, ServiceError } from '../../errors.ts';
import type { Effort } from '../../task.ts';
import { startOf } from '../../truncate.ts';
import type { ReadContext } from '../api.ts';
import { parseBody } from '../parse-body.ts';
import { enforceable, type Schema, Unenforceable } from '../schemas/json-schema.ts';
import { type Conversation, readConversation } from './conversation.ts';
import { ignoredFields } from './ignored-fields.ts';
import { type ChatBody, chatRequestShape } from './request-shape.ts';

export type ChatRequest = {
  /** The model as the caller named it; the answer repeats it. */
  requestedModel: string;
  /** The name of the model for the agent. */
  model: string;
  conversation: Conversation;
  effort?: Effort;
  outputSchema?: Record<string, unknown>;
  stream: boolean;
  includeUsage: boolean;
  /** The stop texts, none of them empty. The answer is cut before the first that occurs in it. */
  stop: string[];
  /** The request fields that have no effect. */
  ignored: string[];
  /** The caller's own name for its user, for the log. */
  user?: string;
};

export type ReadOptions = Pick<ReadContext, 'models' | 'ignoredParams' | 'unknownQuery' | 'schemaProblem'> & {
  /** The error message for a request that wants a stream. Undefined if this API streams. */
  noStreaming?: string;
};

/** The most characters of the name, which goes into a log line. */
const maxUserLength = 200;

/**
 * Throws `invalid_json`, `invalid_request`, `unsupported_model` or `streaming_not_supported`, checked in this order, or
 * an error of `schemaProblem`.
 */
export async function readChatRequest(body: unknown, options: ReadOptions): Promise<ChatRequest> {
  const parsed = parseBody(chatRequestShape, body);
  const read = await readFields(parsed, ignoredFields(body, parsed), options);
  const { requestedModel, model } = options.models.resolve(parsed.model);
  if (read.stream && options.noStreaming) {
    throw new ServiceError('streaming_not_supported', options.noStreaming, { param: 'stream' });
  }
  return { ...read, requestedModel, model };
}

async function readFields(
  body: ChatBody,
  ignored: string[],
  options: ReadOptions,
): Promise<Omit<ChatRequest, 'requestedModel' | 'model'>> {
  refuseForcedTools(body);
  const conversation = readConversation(body.messages);
  const outputSchema = await outputSchemaOf(body.response_format, options.schemaProblem);
  const [refused] = [...ignored, ...options.unknownQuery];
  if (options.ignoredParams === 'reject' && refused !== undefined) {
    throw invalidField(refused, 'has no effect here, and this server is set to refuse such fields');
  }
  return {
    conversation,
    ...(body.reasoning_effort ? { effort: effortOf(body.reasoning_effort) } : {}),
    ...(outputSchema ? { outputSchema } : {}),
    stream: body.stream === true,
    includeUsage: body.stream_options?.include_usage === true,
    stop: [body.stop ?? []].flat().filter((text) => text !== ''),
    ignored,
    ...(body.user ? { user: startOf(body.user, maxUserLength) } : {}),
  };
}

/**
 * Returns the schema that the answer must satisfy. Returns `undefined` if any text will do. Throws `invalid_request` if
 * the agent cannot enforce the schema.
 */
async function outputSchemaOf(
  format: ChatBody['response_format'],
  schemaProblem: ReadContext['schemaProblem'],
): Promise<Schema | undefined> {
  switch (format?.type) {
    case undefined:
    case 'text':
      return undefined;
    case 'json_object':
      return checkedSchema({ type: 'object', ...format.schema }, 'response_format.schema', schemaProblem);
    case 'json_schema': {
      const schema = format.json_schema.schema ?? { type: 'object' };
      const { description } = format.json_schema;
      const described = description ? { description, ...schema } : schema;
      return checkedSchema(described, 'response_format.json_schema.schema', schemaProblem);
    }
  }
}

async function checkedSchema(
  schema: Schema,
  param: string,
  schemaProblem: ReadContext['schemaProblem'],
): Promise<Schema> {
  try {
    return await enforceable(schema, schemaProblem);
  } catch (error) {
    if (!(error instanceof Unenforceable)) throw error;
    throw invalidField(param, error.message);
  }
}

function effortOf(effort: NonNullable<ChatBody['reasoning_effort']>): Effort {
  return effort === 'none' || effort === 'minimal' ? 'low' : effort;
}

/** Refuses requests that demand a tool call, because the agent calls only its own tools. */
function refuseForcedTools(body: ChatBody): void {
  for (const field of ['tool_choice', 'function_call'] as const) {
    const choice = body[field];
    if (choice === null || choice === undefined || choice === 'auto' || choice === 'none') continue;
    if (allowsNone(choice)) continue;
    throw invalidField(field, 'must be "auto" or "none": the agent calls only tools of its own');
  }
}

/**
 * `{"type":"allowed_tools","allowed_tools":{"mode":"auto"}}` leaves the choice to the model. Some clients send the plain
 * words as objects too: `{"type":"auto"}`.
 */
function allowsNone(choice: string | Record<string, unknown>): boolean {
  if (typeof choice === 'string') return false;
  if (choice['type'] === 'auto' || choice['type'] === 'none') return true;
  if (choice['type'] !== 'allowed_tools') return false;
  const allowed = choice['allowed_tools'];
  return typeof allowed === 'object' && allowed !== null && (allowed as Record<string, unknown>)['mode'] === 'auto';
}
