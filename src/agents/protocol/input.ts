/** Writes the lines that the CLI reads over stdin: messages and control requests. */
import type { Block, Message } from '../../task.ts';
import type { Json } from './json.ts';

/**
 * Returns the line for a user message. `client_composed` makes the CLI take the text as it is: the CLI inserts no file
 * for an `@path`, and runs no `/command`.
 * @param id a UUID, which the result for this line repeats
 * @param query whether the CLI begins a turn. If it does not, it appends the message to the conversation, and
 * acknowledges it with an empty result
 */
export function userLine(message: Message, id: string, query: boolean): string {
  return line({
    type: 'user',
    message: { role: 'user', content: message.blocks.map(wireBlock) },
    parent_tool_use_id: null,
    uuid: id,
    client_composed: true,
    ...(query ? {} : { shouldQuery: false }),
  });
}

/** Returns the line for a past assistant message. The CLI does not acknowledge it. */
export function assistantLine(message: Message): string {
  return line({
    type: 'assistant',
    message: { role: 'assistant', content: message.blocks.map(wireBlock) },
    parent_tool_use_id: null,
  });
}

/**
 * Returns the line that empties the conversation. It is not `client_composed`, because the CLI must run it as a
 * command.
 */
export function resetLine(id: string): string {
  return line({ type: 'user', message: { role: 'user', content: '/clear' }, parent_tool_use_id: null, uuid: id });
}

export type ControlRequest =
  | { subtype: 'initialize'; appendSystemPrompt?: string; jsonSchema?: Record<string, unknown> }
  | { subtype: 'set_model'; model: string }
  | { subtype: 'get_session_cost' }
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
