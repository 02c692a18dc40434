/** Turns the messages of a request into a conversation: one system text, then user and assistant in alternation. */
import { invalidField } from '../../errors.ts';
import { roundedNumberIn } from '../../http/exact-numbers.ts';
import { type JsonSize, jsonLimits, jsonSize, overJsonLimits } from '../../http/json-bounds.ts';
import type { Block, Message } from '../../task.ts';
import { imageLimits, readImage } from './images.ts';
import type { ChatMessage } from './request-shape.ts';
import { pairTools } from './tool-history.ts';

export type Conversation = {
  /** All system and developer messages, joined by a newline. */
  system?: string;
  /** The messages, at least one. The first and the last are the user's. */
  messages: Message[];
};

/** Throws `invalid_request` with the path of the message. */
export function readConversation(messages: ChatMessage[]): Conversation {
  const system: string[] = [];
  const conversation: Message[] = [];
  const left = { ...jsonLimits };
  for (const [at, message] of messages.entries()) {
    if (message.role === 'system' || message.role === 'developer') {
      system.push(textOf(message.content));
      continue;
    }
    const role = message.role === 'assistant' ? 'assistant' : 'user';
    const blocks = blocksOf(message, `messages[${at}]`, left).filter(
      (block) => block.type !== 'text' || block.text.trim(),
    );
    const last = conversation.at(-1);
    if (last?.role === role) last.blocks.push(...blocks);
    else if (blocks.length > 0) conversation.push({ role, blocks });
  }
  checkImageCount(conversation);
  const systemText = system.join('\n');
  if (conversation.length === 0) {
    if (!systemText.trim()) throw invalidField('messages', 'there is no text in them');
    return { messages: [userSays(systemText)] };
  }
  const whole = userFirstAndLast(pairTools(conversation));
  return systemText.trim() ? { system: systemText, messages: whole } : { messages: whole };
}

/** @param left how much more JSON the arguments of all tool calls together may hold */
function blocksOf(
  message: Exclude<ChatMessage, { role: 'system' | 'developer' }>,
  path: string,
  left: JsonSize,
): Block[] {
  switch (message.role) {
    case 'user':
      return typeof message.content === 'string'
        ? [{ type: 'text', text: message.content }]
        : message.content.map((part, at) =>
            part.type === 'text'
              ? { type: 'text', text: part.text }
              : readImage(
                  typeof part.image_url === 'string' ? part.image_url : part.image_url.url,
                  `${path}.content[${at}].image_url`,
                ),
          );
    case 'assistant':
      return assistantBlocks(message, left);
    case 'tool':
      return [
        { type: 'tool_result', toolUseId: message.tool_call_id, text: textOf(message.content ?? ''), isError: false },
      ];
    case 'function':
      return [
        { type: 'tool_result', toolUseId: functionId(message.name), text: message.content ?? '', isError: false },
      ];
  }
}

function assistantBlocks(message: Extract<ChatMessage, { role: 'assistant' }>, left: JsonSize): Block[] {
  const blocks: Block[] = [];
  if (message.content) blocks.push({ type: 'text', text: textOf(message.content) });
  else if (message.refusal) blocks.push({ type: 'text', text: message.refusal });
  for (const call of message.tool_calls ?? []) {
    const name = call.function?.name ?? call.custom?.name ?? 'unknown';
    const input = call.function?.arguments ?? call.custom?.input ?? '';
    blocks.push({ type: 'tool_use', id: call.id, name: toolName(name), input: readArguments(input, left) });
  }
  const legacy = message.function_call;
  if (legacy) {
    const { name } = legacy;
    blocks.push({
      type: 'tool_use',
      id: functionId(name),
      name: toolName(name),
      input: readArguments(legacy.arguments, left),
    });
  }
  return blocks;
}

type TextContent = string | ({ type: 'text'; text: string } | { type: 'refusal'; refusal: string })[];

function textOf(content: TextContent): string {
  if (typeof content === 'string') return content;
  return content.map((part) => (part.type === 'text' ? part.text : part.refusal)).join('\n');
}

/** The older function calls have no ids, so the name pairs a call with its result. */
function functionId(name: string): string {
  return `function_${name}`;
}

function toolName(name: string): string {
  return name.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 128);
}

/**
 * The Messages API wants a tool's input to be an object. Other values are kept as `arguments`. So is a text that would
 * take long to parse, since the limits on the body count it as one string, and a text whose numbers would be rounded.
 */
function readArguments(text: string, left: JsonSize): Record<string, unknown> {
  const size = jsonSize(Buffer.from(text));
  if (overJsonLimits(size, left)) return { arguments: text };
  left.items -= size.items;
  try {
    const input: unknown = JSON.parse(text || '{}');
    const isObject = typeof input === 'object' && input !== null && !Array.isArray(input);
    if (isObject && roundedNumberIn(input) === undefined) return input as Record<string, unknown>;
  } catch {}
  return { arguments: text };
}

function checkImageCount(messages: Message[]): void {
  const count = messages.flatMap((message) => message.blocks).filter((block) => block.type === 'image').length;
  if (count > imageLimits.count) throw invalidField('messages', `too many images: ${count} of ${imageLimits.count}`);
}

/** The model API requires that the user begins, and a run always answers the user. */
function userFirstAndLast(messages: Message[]): Message[] {
  return [
    ...(messages[0]?.role === 'assistant' ? [userSays('(The conversation begins with the assistant.)')] : []),
    ...messages,
    ...(messages.at(-1)?.role === 'assistant' ? [userSays('Continue exactly where you stopped.')] : []),
  ];
}

function userSays(text: string): Message {
  return { role: 'user', blocks: [{ type: 'text', text }] };
}
