/** Writes a conversation as one prompt, for agents that take their prompt as an argument. */
import { invalidField } from '../../errors.ts';
import type { Block } from '../../task.ts';
import type { Conversation } from '../openai-chat/conversation.ts';
import { callText, resultText } from '../openai-chat/tool-history.ts';

/**
 * The system text comes first, then the messages in order. If the assistant has spoken too, every message begins with
 * its role. Throws `invalid_request` for images.
 */
export function promptOf({ system, messages }: Conversation): string {
  const dialogue = messages.some(({ role }) => role === 'assistant');
  const parts = messages.map(({ role, blocks }) => {
    const text = blocks.map(blockText).join('\n');
    if (!dialogue) return text;
    return `${role === 'user' ? 'User' : 'Assistant'}: ${text}`;
  });
  return [...(system === undefined ? [] : [system]), ...parts].join('\n\n');
}

function blockText(block: Block): string {
  switch (block.type) {
    case 'text':
      return block.text;
    case 'tool_use':
      return callText(block);
    case 'tool_result':
      return resultText(block);
    case 'image':
      throw invalidField('messages', 'image input is not supported at this path; /openai/v1 takes images');
  }
}
