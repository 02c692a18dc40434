/** The table of everything that can go wrong: its HTTP status, its names in both dialects, and whether to ask again. */

import type { Outcome } from './task.ts';

/**
 * `never`: the same request would fail (or cost) again. `later`: nothing was started, so it may be repeated.
 * Answers carry it as `x-should-retry`, which the official OpenAI SDKs obey.
 */
export type Retry = 'never' | 'later';

type Row = {
  status: number;
  /** The `error` string of the native API. */
  native: string;
  /** The `type` of an OpenAI error object. Never `server_error` for a run: some clients repeat those for ever. */
  type:
    | 'invalid_request_error'
    | 'authentication_error'
    | 'not_found_error'
    | 'execution_failed'
    | 'overloaded_error'
    | 'api_error';
  retry: Retry;
  about: string;
};

const failed = { status: 503, native: 'execution failed', type: 'execution_failed', retry: 'never' } as const;
const busy = { status: 503, native: 'execution failed', type: 'overloaded_error', retry: 'later' } as const;
const invalid = { status: 400, native: 'invalid request', type: 'invalid_request_error', retry: 'never' } as const;

export const errorTable = {
  unauthorized: {
    status: 401,
    native: 'unauthorized',
    type: 'authentication_error',
    retry: 'never',
    about: 'The bearer token is missing or wrong.',
  },
  invalid_json: {
    ...invalid,
    about: 'The body is not JSON, not a JSON object, or holds too many values or levels; the message names the limit.',
  },
  invalid_request: { ...invalid, about: 'A field has a wrong type or value; the message names it.' },
  unsupported_model: {
    ...invalid,
    native: 'unsupported model',
    about: 'The model is not one of those served; `supported` lists them.',
  },
  streaming_not_supported: {
    ...invalid,
    native: 'streaming not supported',
    about: 'This door answers whole; `/openai/v1` streams.',
  },
  not_found: {
    status: 404,
    native: 'not found',
    type: 'not_found_error',
    retry: 'never',
    about: 'There is nothing at this path.',
  },
  method_not_allowed: {
    status: 405,
    native: 'method not allowed',
    type: 'invalid_request_error',
    retry: 'never',
    about: 'The path exists, the method does not; `Allow` lists those that do.',
  },
  body_too_large: {
    status: 413,
    native: 'body too large',
    type: 'invalid_request_error',
    retry: 'never',
    about: 'The body is over the limit.',
  },
  unsupported_media_type: {
    status: 415,
    native: 'unsupported media type',
    type: 'invalid_request_error',
    retry: 'never',
    about: 'The body is not `application/json`, or its encoding is unknown.',
  },
  client_gone: {
    ...failed,
    status: 499,
    about: 'The client gave up; its agent was stopped. Nobody reads this answer.',
  },
  agent_busy: { ...busy, about: 'Every place is taken; no agent was started.' },
  queue_full: { ...busy, about: 'Every place and every place in the queue is taken; no agent was started.' },
  schemas_waiting: {
    ...busy,
    about: 'As many JSON Schemas of this key wait to be checked as may wait; no agent was started.',
  },
  job_queue_full: {
    ...busy,
    status: 429,
    native: 'queue full',
    about: 'As many jobs wait as may wait; the job was not taken.',
  },
  job_finished: {
    ...invalid,
    status: 409,
    native: 'job finished',
    about: 'The job has ended, so there is nothing to cancel.',
  },
  job_not_finished: {
    ...invalid,
    status: 409,
    native: 'job not finished',
    about: 'The job waits or runs still, so what it changed is not known.',
  },
  idempotency_conflict: {
    ...invalid,
    status: 409,
    native: 'idempotency conflict',
    about: 'This `Idempotency-Key` came before with another request.',
  },
  wait_timeout: { ...busy, about: 'No place came free in time; no agent was started.' },
  store_unavailable: { ...busy, about: 'The job store cannot be reached; nothing was started.' },
  shutting_down: { ...busy, about: 'The server is stopping and takes no more work.' },
  agent_not_started: { ...failed, about: 'The claude command could not be started.' },
  not_signed_in: { ...failed, about: 'Claude Code has no login and no API key.' },
  agent_failed: { ...failed, about: 'The agent ended with an error; the detail is its own reason.' },
  agent_timeout: { ...failed, about: 'The agent ran into the time limit of the run and was stopped.' },
  agent_stalled: { ...failed, about: 'The agent said nothing for too long and was stopped.' },
  budget_exceeded: { ...failed, about: 'The agent spent its budget and was stopped.' },
  output_too_large: { ...failed, about: 'The agent printed more than the server is ready to hold.' },
  invalid_output: { ...failed, about: 'The answer does not satisfy the format that was asked for.' },
  workspace_unavailable: {
    ...failed,
    about: 'The workspace could not be prepared (with `GIT_SYNC=required`, also: not be synced).',
  },
  cancelled: { ...failed, about: 'The run was cancelled.' },
  interrupted: { ...failed, about: 'The server or worker that ran the job went away before the job had ended.' },
  internal: {
    status: 500,
    native: 'internal error',
    type: 'api_error',
    retry: 'never',
    about: 'A fault of this server; the log has the cause under the request id.',
  },
} as const satisfies Record<string, Row>;

export type ErrorCode = keyof typeof errorTable;

type Extra = {
  /** The request field that is wrong, in the dialect's own path notation: `messages[0].content`. */
  param?: string;
  /** For `unsupported_model`: what is served. */
  supported?: string[];
  /** When asking again makes sense; whole seconds, 1 to 60. */
  retryAfterSeconds?: number;
  /** For `method_not_allowed`. */
  allow?: string[];
  exitCode?: number;
  /** What the agent printed on stderr, bounded; for logs and job records, never for a chat answer. */
  stderr?: string;
  /** What the run had cost by the time it failed, where the agent told. */
  spent?: Pick<Outcome, 'usage' | 'costUsd' | 'models' | 'turns' | 'sessionId'>;
  cause?: unknown;
};

/**
 * The one kind of error that crosses a stage. `message` is what the client reads: one line that says what could not
 * be done, colon, the state and the limit. It holds no key, no path of the host and no stack.
 */
export class ServiceError extends Error {
  readonly code: ErrorCode;
  readonly extra: Extra;

  constructor(code: ErrorCode, message: string, extra: Extra = {}) {
    super(message, { cause: extra.cause });
    this.name = 'ServiceError';
    this.code = code;
    this.extra = extra;
  }

  get row(): Row {
    return errorTable[this.code];
  }
}

/** Anything thrown, as a `ServiceError`; what is not one is a fault of ours and is told as `internal`, without its text. */
export function asServiceError(thrown: unknown): ServiceError {
  if (thrown instanceof ServiceError) return thrown;
  return new ServiceError('internal', 'The server failed: the cause is in its log under this request id', {
    cause: thrown,
  });
}
