/**
 * The chat part of the native API, whose contract comes from an earlier service: a new process for each run, and whole
 * answers only.
 */
import { ServiceError } from '../../errors.ts';
import { redact } from '../../redact.ts';
import type { Api } from '../api.ts';
import { askedOf, type ChatView, openaiChatApi, wholeAnswer } from '../openai-chat/openai-chat-api.ts';
import { readChatRequest } from '../openai-chat/read-chat-request.ts';
import { errorBody } from './error-body.ts';
import { promptOf } from './prompt.ts';

const noStreaming =
  'Cannot stream at this path: streaming not supported under /v1, use the base URL /openai/v1, which streams';

export const nativeApi: Api<ChatView> = {
  name: 'native',
  bases: ['/v1', ''],
  path: '/chat/completions',
  policy: { whenBusy: 'refuse', reuse: 'none', settle: 'after_release' },
  runIdPrefix: 'chatcmpl',
  async read(body, context) {
    const chat = await readChatRequest(body, { ...context, noStreaming });
    const text = promptOf(chat.conversation);
    const conversation = { messages: [{ role: 'user' as const, blocks: [{ type: 'text' as const, text }] }] };
    return askedOf({ ...chat, conversation }, context);
  },
  whole(run, outcome, view) {
    if (outcome.stopReason === 'refusal') {
      throw new ServiceError('agent_failed', redact(outcome.text) || 'The model refused to answer');
    }
    return wholeAnswer(run, outcome, view);
  },
  error: errorBody,
  about: { ...openaiChatApi.about, summary: 'A chat completion, whole' },
};
