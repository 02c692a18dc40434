/** Tells from the facts of the CLI why the model could not be asked, and whether another attempt makes sense. */
import { type ErrorCode, ServiceError } from '../errors.ts';
import { redact } from '../redact.ts';
import type { AgentEvent, Task } from '../task.ts';
import type { ModelFailure } from './protocol/messages.ts';
import type { AgentResult } from './protocol/result.ts';

/** How often the agent may repeat a failed request to the model, by the kind of the task. */
export type ModelRetries = Record<Task['kind'], number>;

/**
 * The longest pause before a retry in a chat, in milliseconds. The model API may ask for minutes; the client then gets
 * the error, with this time in `Retry-After`.
 */
const longestChatPauseMs = 10_000;

/**
 * Returns the code for a failed request to the model. Returns undefined if the facts name no cause.
 * @param failure what the CLI said about the request before its result, if it did
 */
export function codeOfModelFailure(
  result: Pick<AgentResult, 'terminalReason' | 'apiStatus' | 'apiError'>,
  failure: ModelFailure = {},
): ErrorCode | undefined {
  const { terminalReason, apiError } = result;
  const { kind } = failure;
  const status = result.apiStatus ?? failure.status;
  if (kind === 'billing_error' || status === 402) return 'no_credit';
  if (kind === 'authentication_failed' || status === 401 || status === 403) return 'not_signed_in';
  if (terminalReason === 'prompt_too_long' || terminalReason === 'blocking_limit' || status === 413) {
    return 'context_length_exceeded';
  }
  if (terminalReason === 'image_error' || apiError === 'media_removed') return 'invalid_image';
  if (kind === 'model_not_found' || status === 404) return 'model_unknown';
  if (kind === 'rate_limit' || status === 429) return 'model_rate_limited';
  if (kind === 'server_error' || (status !== undefined && status >= 500)) return 'model_unavailable';
  return apiError === 'connection_failed' ? 'model_unavailable' : undefined;
}

/**
 * Returns the error with which a run ends instead of a retry that the CLI announces. Returns undefined if the retry
 * makes sense. A refused credential is tried once more, because the CLI may renew it in the meantime.
 */
export function refusedRetry(
  { status, attempt, delayMs }: Extract<AgentEvent, { type: 'retry' }>,
  task: Task,
  retries: ModelRetries,
): ServiceError | undefined {
  const isCredential = status === 401 || status === 403;
  const limit = isCredential ? Math.min(1, retries[task.kind]) : retries[task.kind];
  if (attempt <= limit && (task.kind === 'job' || delayMs <= longestChatPauseMs)) return undefined;
  const answered = status === undefined ? 'cannot be reached' : `answered ${status}`;
  const code = codeOfModelFailure({ terminalReason: 'api_error', apiStatus: status, apiError: '' });
  const message = modelFailureText(
    code ?? 'model_unavailable',
    task,
    `Cannot ask the model: the model API ${answered}`,
  );
  return new ServiceError(code ?? 'model_unavailable', message, { retryAfterSeconds: Math.ceil(delayMs / 1000) });
}

/**
 * Returns the message of the error.
 * @param cause what the CLI says, in words for somebody who uses it by hand
 */
export function modelFailureText(code: ErrorCode, task: Task, cause: string): string {
  switch (code) {
    case 'model_unknown':
      return `Cannot ask the model "${task.model}": the model API does not know it, or the account may not use it`;
    case 'invalid_image':
      return `Cannot use the request: the model API cannot read ${whichImage(task)}`;
    default:
      return withAdvice(code, cause);
  }
}

/** Returns the cause, and what the operator can do about it. */
export function withAdvice(code: ErrorCode, cause: string): string {
  const clean = redact(cause);
  if (code !== 'not_signed_in') return clean;
  return `${clean} (on the server: run "claude" and sign in, or set ANTHROPIC_API_KEY)`;
}

/** The CLI does not say which image it was, so only an image that is alone is named. */
function whichImage({ messages }: Task): string {
  const blocks = messages.flatMap((message) => message.blocks);
  const images = blocks.filter((block) => block.type === 'image');
  const [image] = images;
  if (!image || images.length > 1) return `one of its ${images.length} images`;
  return `its image (${image.mediaType}, ${Buffer.byteLength(image.base64, 'base64')} bytes)`;
}

/** Returns whether the task has images. The agent may also read an image that is not from the client. */
export function hasImages({ messages }: Task): boolean {
  return messages.some(({ blocks }) => blocks.some((block) => block.type === 'image'));
}
