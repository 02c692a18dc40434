/** Settings of the chat doors. */
import { choice, decimal, optionalText } from './setting.ts';

export const chatSettings = {
  v1Api: choice('V1_API', 'native', ['native', 'openai'], 'What `/v1` speaks; `/openai/v1` always speaks OpenAI.'),
  chatAgent: optionalText('CHAT_AGENT', 'The Claude Code agent definition that serves chat.'),
  chatBudgetUsd: decimal('CHAT_BUDGET_USD', 2, [0.01, 10_000], 'What one chat request may spend.'),
  chatTimeoutSeconds: decimal('CHAT_TIMEOUT_SECONDS', 900, [0.1, 86_400], 'How long one chat run may take.'),
  jsonAnswerSeconds: decimal(
    'JSON_ANSWER_SECONDS',
    290,
    [0.1, 86_400],
    'How long an answer that is not streamed may take; clients on Node drop a silent request after 300 s and send it again.',
  ),
  streamKeepAlive: choice(
    'STREAM_KEEP_ALIVE',
    'chunk',
    ['chunk', 'comment', 'off'],
    'What is sent while a streamed answer is silent.',
  ),
  streamKeepAliveSeconds: decimal('STREAM_KEEP_ALIVE_SECONDS', 15, [0.05, 3600], 'How often that is.'),
  slowReaderSeconds: decimal('SLOW_READER_SECONDS', 60, [0.1, 3600], 'How long a client may leave its stream unread.'),
  clientGraceSeconds: decimal(
    'CLIENT_GRACE_SECONDS',
    2.5,
    [0, 3600],
    'How long an agent goes on after its client has gone, for a repeat of the request to join.',
  ),
  repeatWindowSeconds: decimal(
    'REPEAT_WINDOW_SECONDS',
    300,
    [0, 86_400],
    'How long a failed run answers repeats of its request, and a finished one those with its `Idempotency-Key`.',
  ),
  ignoredParams: choice(
    'IGNORED_PARAMS',
    'accept',
    ['accept', 'reject'],
    'Request fields that have no effect here: named in `x-ignored-params`, or refused.',
  ),
};
