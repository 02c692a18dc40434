/** Defines the part of the Anthropic Messages API that the fake model uses, and reads its requests. */

export type ContentBlock =
  | { type: 'text'; text: string }
  | { type: 'thinking'; thinking: string; signature: string }
  | { type: 'image'; source: { type: string; media_type?: string; data?: string } }
  | { type: 'tool_use'; id: string; name: string; input: unknown }
  | { type: 'tool_result'; tool_use_id: string; content?: string | ContentBlock[]; is_error?: boolean };

export type Message = { role: string; content: string | ContentBlock[] };

export type MessagesRequest = {
  model: string;
  messages: Message[];
  stream?: boolean;
  max_tokens?: number;
  system?: string | { type: 'text'; text: string }[];
  tools?: { name: string; description?: string; input_schema?: unknown }[];
  thinking?: unknown;
  output_config?: { effort?: string; format?: unknown };
};

export type ApiUsage = {
  input_tokens: number;
  cache_creation_input_tokens: number;
  cache_read_input_tokens: number;
  output_tokens: number;
};

export function blocksOf(message: Message): ContentBlock[] {
  return typeof message.content === 'string' ? [{ type: 'text', text: message.content }] : message.content;
}

/** Returns the whole system prompt as one text. */
export function systemText(request: MessagesRequest): string {
  if (typeof request.system === 'string') return request.system;
  return (request.system ?? []).map((block) => block.text).join('\n');
}

export type LastAsked = {
  text: string;
  /** How many answers the model has given since this text: 0 at first, 1 after its first tool call, and so on. */
  answersSince: number;
};

/** Returns the last text of the user. Ignores tool results and texts that the agent itself adds. */
export function lastAsked(messages: Message[]): LastAsked {
  let answersSince = 0;
  for (const message of messages.toReversed()) {
    if (message.role === 'assistant') answersSince += 1;
    const said = blocksOf(message).filter((block) => block.type === 'text' && !isOfTheAgent(block.text));
    const text = said.map((block) => (block.type === 'text' ? block.text : '')).join('\n');
    if (message.role === 'user' && text.trim() !== '') return { text, answersSince };
  }
  return { text: '', answersSince };
}

/** Returns the text of the last tool result in the last user message. Returns undefined if that message has none. */
export function lastToolResult(messages: Message[]): string | undefined {
  const last = messages.findLast((message) => message.role === 'user');
  const result = last && blocksOf(last).findLast((block) => block.type === 'tool_result');
  if (result?.type !== 'tool_result') return undefined;
  if (typeof result.content === 'string') return result.content;
  return (result.content ?? []).map((block) => (block.type === 'text' ? block.text : `(${block.type})`)).join('\n');
}

/**
 * Returns whether the agent itself wrote a text: a reminder, a note about a command, or the request to continue an
 * answer.
 */
function isOfTheAgent(text: string): boolean {
  return /^\s*(<system-reminder>|<local-command-|<command-name>|\[structured-output-enforce\]|Output token limit hit\.|Stop hook feedback:|Your response above was cut off)/.test(
    text,
  );
}
