/** Settings of chat in both APIs. */
import { choice, decimal, optionalText } from './setting.ts';

export const chatSettings = {
  v1Api: choice(
    'V1_API',
    'native',
    ['native', 'openai'],
    'The API at `/v1`. The OpenAI API is always at `/openai/v1` too.',
  ),
  chatAgent: optionalText('CHAT_AGENT', 'The Claude Code agent definition for chat.'),
  chatBudgetUsd: decimal('CHAT_BUDGET_USD', 2, [0.01, 10_000], 'The budget of one chat request, in US dollars.'),
  chatTimeoutSeconds: decimal('CHAT_TIMEOUT_SECONDS', 900, [0.1, 86_400], 'How long one chat run may take.'),
  jsonAnswerSeconds: decimal(
    'JSON_ANSWER_SECONDS',
    290,
    [0.1, 86_400],
    'How long an answer that is not streamed may take. Clients on Node give up a request after 300 s without an answer, and send it again.',
  ),
  streamKeepAlive: choice(
    'STREAM_KEEP_ALIVE',
    'chunk',
    ['chunk', 'comment', 'off'],
    'What is sent while a streamed answer has nothing new: an empty chunk, a comment, or nothing.',
  ),
  streamKeepAliveSeconds: decimal('STREAM_KEEP_ALIVE_SECONDS', 15, [0.05, 3600], 'How often that is sent.'),
  slowReaderSeconds: decimal(
    'SLOW_READER_SECONDS',
    60,
    [0.1, 3600],
    'How long a client may read nothing of its stream; then the stream ends.',
  ),
  clientGraceSeconds: decimal(
    'CLIENT_GRACE_SECONDS',
    2.5,
    [0, 3600],
    'How long an agent continues after its client has gone, so that a repeat of the request can join the run.',
  ),
  repeatWindowSeconds: decimal(
    'REPEAT_WINDOW_SECONDS',
    300,
    [0, 86_400],
    'How long repeats of a request get the result of its run: of a failed run always, of a completed run with the same `Idempotency-Key`.',
  ),
  ignoredParams: choice(
    'IGNORED_PARAMS',
    'accept',
    ['accept', 'reject'],
    'What happens to request fields that have no effect here. `accept`: they are named in `x-ignored-params`. `reject`: the request is refused.',
  ),
};
