/** Checks the names of query parameters, and that a request has a body only where one is read. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { invalidField, ServiceError } from '../errors.ts';
import { suggestionFor } from '../nearest.ts';
import { headerText } from './replies.ts';

/** More names are left out, because the header of an answer must stay short. */
const maxNames = 50;
const maxNameLength = 64;

/**
 * Throws `invalid_request` if the route does not read a parameter of the query. On a route whose clients add parameters
 * of their own, these are named in the answer instead.
 */
export function checkQuery(request: FastifyRequest, reply: FastifyReply): void {
  const { query: known = [], foreignQuery } = request.routeOptions.config;
  const unknown = unknownQuery(request);
  const [first] = unknown;
  if (first === undefined) return;
  if (!foreignQuery) {
    throw invalidField(shownName(first), `there is no such query parameter here; ${suggestionFor(first, known)}`);
  }
  nameIgnored(reply, unknown);
}

/** Returns the names of the query parameters that the route does not read. */
export function unknownQuery({ query, routeOptions }: FastifyRequest): string[] {
  const { query: known = [] } = routeOptions.config;
  return Object.keys((query ?? {}) as object).filter((name) => !known.includes(name));
}

/** Throws `invalid_request` for a body that would not be read. */
export function refuseUnreadBody({ method, headers }: FastifyRequest): void {
  if (!['GET', 'HEAD', 'DELETE'].includes(method)) return;
  if (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0) return;
  throw new ServiceError('invalid_request', `Cannot read the request: ${method} takes no body here`);
}

/** Adds the names of what has no effect to the answer's header `x-ignored-params`. Returns the names as they stand there. */
export function nameIgnored(reply: FastifyReply, names: string[]): string[] {
  if (names.length === 0) return [];
  const before = reply.getHeader('x-ignored-params');
  const shown = names.slice(0, maxNames).map(shownName);
  if (names.length > maxNames) shown.push('...');
  reply.header('x-ignored-params', [...(before === undefined ? [] : [before]), ...shown].join(','));
  return shown;
}

/** Returns a name that a client chose as it may stand in a header: short, in ASCII and without a comma. */
function shownName(name: string): string {
  return headerText(name.slice(0, maxNameLength).replace(/[^\x21-\x7e]|,/g, '?'));
}
