/** Turns an error into an answer: status, headers and body. No other file does that. */
import type { FastifyReply } from 'fastify';
import { asServiceError, ServiceError } from '../errors.ts';

/** Renders an error in the words of an API. */
export type ErrorBody = (error: ServiceError) => object;

/** Answers with an error. `thrown` may be anything. */
export function replyError(reply: FastifyReply, thrown: unknown, errorBody: ErrorBody): ServiceError {
  const error = toServiceError(thrown);
  const { status, retry } = error.row;
  reply.code(status).header('x-should-retry', String(retry === 'later'));
  if (retry === 'later') reply.header('retry-after', String(retryAfter(error)));
  else if (error.extra.resetsAt !== undefined) reply.header('retry-after', String(secondsUntil(error.extra.resetsAt)));
  if (error.extra.allow) reply.header('allow', error.extra.allow.join(', '));
  if (error.code === 'unauthorized' && !reply.hasHeader('www-authenticate')) {
    reply.header('www-authenticate', 'Bearer');
  }
  void reply.type('application/json; charset=utf-8').send(JSON.stringify(errorBody(error)));
  return error;
}

/**
 * Returns the value of `Retry-After`: whole seconds from 1 to 60. Some clients would wait longer, others ignore a
 * longer time.
 */
function retryAfter({ extra, row }: ServiceError): number {
  return Math.min(60, Math.max(1, Math.ceil(extra.retryAfterSeconds ?? row.retryAfterSeconds ?? 2)));
}

/** Returns the whole seconds until a time in milliseconds since 1970, at least 1. */
function secondsUntil(time: number): number {
  return Math.max(1, Math.ceil((time - Date.now()) / 1000));
}

/**
 * Returns the text as a header may contain it: printable ASCII on one line. Node refuses some other characters, and
 * others break clients.
 */
export function headerText(text: string): string {
  return text
    .replace(/[^\x20-\x7e]+/g, ' ')
    .slice(0, 500)
    .trim();
}

/** Turns errors of Fastify and Node, which occur before a route is reached, into our own. */
function toServiceError(thrown: unknown): ServiceError {
  const { code, statusCode } = (thrown ?? {}) as { code?: unknown; statusCode?: unknown };
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new ServiceError('body_too_large');
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new ServiceError('unsupported_media_type', 'Cannot read the request: the body must be application/json');
    case 'FST_ERR_BAD_URL':
      return new ServiceError('invalid_request', 'Cannot read the request: the URL is not well-formed');
  }
  if (!(thrown instanceof ServiceError) && typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    return new ServiceError('invalid_request', 'Cannot read the request: the body is broken or incomplete');
  }
  return asServiceError(thrown);
}
