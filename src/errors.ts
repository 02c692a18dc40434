/** The table of errors: each error's HTTP status, its kind, whether a client may retry, and its text. */

import type { Outcome } from './task.ts';

/**
 * `never`: the same request would fail (or cost) again. `later`: nothing was started, so the request may be repeated.
 * Answers carry it as `x-should-retry`, which the official OpenAI SDKs obey.
 */
export type Retry = 'never' | 'later';

/** What went wrong, in the widest sense. Every API has its own word for each kind. */
export type ErrorKind = 'invalid' | 'unauthorized' | 'not_found' | 'failed' | 'busy' | 'internal';

type Row = {
  status: number;
  kind: ErrorKind;
  retry: Retry;
  /** The explanation in the documentation. */
  about: string;
  /** The message that the client reads. Undefined if the message differs from case to case. */
  text?: string;
  /** The seconds after which a retry makes sense. Used if the error itself does not say. */
  retryAfterSeconds?: number;
  /**
   * Whether the cause is outside of the request, and goes away by itself or when the operator fixes it. A job waits
   * until then, and a repeated request starts a new run.
   */
  temporary?: true;
  /** Whether the cause is on the server's machine, so that it stops every run and not only this one. */
  ofMachine?: true;
};

const invalid = { status: 400, kind: 'invalid', retry: 'never' } as const;
const failed = { status: 503, kind: 'failed', retry: 'never' } as const;
const busy = { status: 503, kind: 'busy', retry: 'later' } as const;

export const errorTable = {
  unauthorized: {
    status: 401,
    kind: 'unauthorized',
    retry: 'never',
    about: 'The key is missing or wrong, or there are two; the message names the headers.',
  },
  host_not_allowed: {
    ...invalid,
    status: 403,
    about: 'The server listens on loopback only, and the `Host` is not in `ALLOWED_HOSTS`.',
  },
  invalid_json: {
    ...invalid,
    about: 'The body is not JSON, not a JSON object, or holds too many values or levels; the message names the limit.',
  },
  invalid_request: { ...invalid, about: 'A field has a wrong type or value; the message names it.' },
  unsupported_model: {
    ...invalid,
    about: 'The model is not one of those served; `supported` lists them.',
  },
  streaming_not_supported: {
    ...invalid,
    about: '`/v1` gives whole answers only; `/openai/v1` streams.',
  },
  not_found: {
    status: 404,
    kind: 'not_found',
    retry: 'never',
    about: 'There is nothing at this path.',
  },
  method_not_allowed: {
    ...invalid,
    status: 405,
    about: 'The path does not take this method; `Allow` lists the methods that it takes.',
  },
  body_too_large: {
    ...invalid,
    status: 413,
    about: 'The body is larger than `BODY_LIMIT_BYTES`.',
    text: 'Cannot read the request: the body is over the limit of this server',
  },
  unsupported_media_type: {
    ...invalid,
    status: 415,
    about: 'The body is not `application/json`, or its encoding is unknown.',
  },
  client_gone: {
    ...failed,
    status: 499,
    about: 'The client closed the connection, so its agent was stopped. Nobody reads this answer.',
    text: 'Cannot finish the run: the client has gone',
  },
  agent_busy: {
    ...busy,
    about: 'Every slot is taken; no agent was started.',
    // Clients of the native API look for exactly these words.
    text: 'agent is busy',
  },
  queue_full: {
    ...busy,
    about: 'Every slot is taken and `MAX_QUEUED_RUNS` requests wait; no agent was started.',
  },
  too_many_bodies: {
    ...busy,
    about: 'Too many large bodies are read at once, and this one has waited 10 s; nothing was started.',
  },
  schemas_waiting: {
    ...busy,
    about: 'Too many JSON Schemas of this key wait to be checked; no agent was started.',
  },
  job_queue_full: {
    ...busy,
    status: 429,
    about: 'Too many jobs wait already; the job was not accepted.',
  },
  job_finished: {
    ...invalid,
    status: 409,
    about: 'The job has ended, so it cannot be cancelled.',
  },
  job_not_finished: {
    ...invalid,
    status: 409,
    about: 'The job has not ended, so its changes are not known yet.',
  },
  idempotency_conflict: {
    ...invalid,
    status: 409,
    about: 'This `Idempotency-Key` was used before, with a different request.',
    text: 'Cannot take the job: its Idempotency-Key was used before, with a different request',
  },
  jobs_held: { ...busy, about: 'Jobs wait until the cause of an error is gone; the message names the cause.' },
  wait_timeout: { ...busy, about: 'The run could not start in time; no agent was started.' },
  store_unavailable: {
    ...busy,
    about: 'The job store cannot be reached; nothing was started.',
    retryAfterSeconds: 5,
  },
  shutting_down: {
    ...busy,
    about: 'The server is stopping and takes no more work.',
    text: 'Cannot start: the server is stopping',
    retryAfterSeconds: 5,
  },
  agent_not_started: { ...failed, temporary: true, ofMachine: true, about: 'The claude command could not be started.' },
  not_signed_in: {
    ...failed,
    temporary: true,
    about: 'Claude Code has no login and no API key, or the model API refuses them.',
  },
  no_credit: { ...failed, temporary: true, about: 'The account has no credit for the model API.' },
  usage_limit: {
    ...failed,
    temporary: true,
    status: 429,
    about: 'The usage limit of the login is reached; the message says until when, and no retry helps before.',
  },
  model_rate_limited: {
    ...busy,
    status: 429,
    about: 'The model API limits the rate of requests; the agent has retried.',
    retryAfterSeconds: 10,
  },
  model_unavailable: {
    ...busy,
    about: 'The model API is overloaded, fails or cannot be reached; the agent has retried.',
    retryAfterSeconds: 5,
  },
  model_unknown: {
    ...failed,
    about: 'The model API does not know the model, or the account may not use it.',
  },
  context_length_exceeded: { ...invalid, about: 'The messages are longer than the model accepts.' },
  invalid_image: { ...invalid, about: 'The model API cannot read an image of the request.' },
  blocked_by_hook: { ...failed, about: "A hook of the server's operator stopped the agent." },
  agent_unknown: { ...failed, about: 'There is no agent definition of this name; the message lists those that exist.' },
  agent_failed: { ...failed, about: 'The agent ended with an error; the detail gives the reason of the agent.' },
  agent_timeout: { ...failed, about: 'The run reached its time limit, and the agent was stopped.' },
  agent_stalled: { ...failed, about: 'The agent was silent for longer than the limit and was stopped.' },
  budget_exceeded: { ...failed, about: 'The agent spent its budget and was stopped.' },
  output_too_large: { ...failed, about: 'The agent printed more than the server holds.' },
  invalid_output: { ...failed, about: 'The answer does not have the requested format.' },
  workspace_unavailable: {
    ...failed,
    temporary: true,
    ofMachine: true,
    about: 'The workspace could not be prepared, or with `GIT_SYNC=required` not be synced.',
  },
  cancelled: { ...failed, about: 'The run was cancelled.' },
  interrupted: { ...failed, about: 'The server or worker stopped before the run had ended.' },
  internal: {
    status: 500,
    kind: 'internal',
    retry: 'never',
    about: 'A fault of this server; its log has the cause under the request id.',
    text: 'The server failed: the cause is in its log under this request id',
  },
} as const satisfies Record<string, Row>;

export type ErrorCode = keyof typeof errorTable;

/** The codes that have a fixed text in the table. */
type FixedCode = { [Code in ErrorCode]: (typeof errorTable)[Code] extends { text: string } ? Code : never }[ErrorCode];

type Extra = {
  /** The request field that is wrong, as a path: `messages[0].content`. */
  param?: string;
  /** The models of this server, for `unsupported_model`. */
  supported?: string[];
  /** The seconds after which a retry makes sense: a whole number from 1 to 60. */
  retryAfterSeconds?: number;
  /** Whether the command ended before it asked the model. It is probably broken, or is being replaced. */
  startFailed?: boolean;
  /** When a usage limit ends, in milliseconds since 1970. Undefined if the agent did not report it. */
  resetsAt?: number;
  /** The methods that the path takes, for `method_not_allowed`. */
  allow?: string[];
  exitCode?: number;
  /** The end of what the agent printed on stderr. It is for logs and job records, never for a chat answer. */
  stderr?: string;
  /** What the run had cost when it failed. Undefined if the agent did not report it. */
  spent?: Pick<Outcome, 'usage' | 'costUsd' | 'models' | 'turns' | 'denials' | 'sessionId'>;
  cause?: unknown;
};

/**
 * The only kind of error that leaves a folder of `src`. The client reads its `message`: one line that says what could
 * not be done, a colon, and the state with its limit. It contains no key, no path of the host and no stack.
 */
export class ServiceError extends Error {
  readonly code: ErrorCode;
  readonly extra: Extra;

  /** @param message may be left out if the table has a text for this code */
  constructor(code: FixedCode, message?: undefined, extra?: Extra);
  constructor(code: ErrorCode, message: string, extra?: Extra);
  constructor(code: ErrorCode, message: string | undefined, extra: Extra = {}) {
    super(message ?? (errorTable[code] as Row).text, { cause: extra.cause });
    this.name = 'ServiceError';
    this.code = code;
    this.extra = extra;
  }

  get row(): Row {
    return errorTable[this.code];
  }

  /** As in `Row`. It also holds for a command that ended before it asked the model. */
  get ofMachine(): boolean {
    return this.row.ofMachine === true || this.extra.startFailed === true;
  }

  /** Whether the same task may succeed later, without a change to the task. */
  get goesAway(): boolean {
    return this.row.temporary === true || this.row.retry === 'later';
  }
}

/**
 * Returns an `invalid_request` error.
 * @param param the field's path, such as `messages[0].content`
 * @param problem what is wrong with the field, such as `must be a string`
 */
export function invalidField(param: string, problem: string): ServiceError {
  return new ServiceError('invalid_request', `Cannot read the request: ${param}: ${problem}`, { param });
}

/**
 * Returns what was thrown as a `ServiceError`. Any other error is a fault of this server: it becomes `internal`, and
 * its text is not shown.
 */
export function asServiceError(thrown: unknown): ServiceError {
  return thrown instanceof ServiceError ? thrown : new ServiceError('internal', undefined, { cause: thrown });
}
