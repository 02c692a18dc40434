/** Sets CORS headers, so that pages of the origins in `CORS_ORIGINS` can call this server. */
import type { FastifyReply, FastifyRequest } from 'fastify';

const exposed =
  'x-request-id, request-id, retry-after, x-should-retry, x-ignored-params, x-run-id, x-cost-usd, x-repeat, x-workspace-sync, location, x-patch-omitted';

/** Sets the headers of an answer. `preflight` is true if the request only asks for permission; its answer is 204. */
export function applyCors(request: FastifyRequest, reply: FastifyReply, origins: string[]): { preflight: boolean } {
  if (origins.length === 0) return { preflight: false };
  reply.header('vary', 'origin');
  const { origin } = request.headers;
  if (origin === undefined || !origins.includes(origin)) return { preflight: false };
  reply.header('access-control-allow-origin', origin).header('access-control-expose-headers', exposed);
  const asked = request.headers['access-control-request-method'];
  if (request.method !== 'OPTIONS' || asked === undefined) return { preflight: false };
  reply.header('access-control-allow-methods', 'GET, POST, DELETE, OPTIONS').header('access-control-max-age', '600');
  // The SDKs send their own headers, whose names change, so every requested header is allowed.
  const headers = request.headers['access-control-request-headers'];
  if (headers !== undefined) reply.header('access-control-allow-headers', headerNames(headers));
  return { preflight: true };
}

/** Returns the list without what cannot be the name of a header. */
function headerNames(list: string): string {
  return list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => /^[\w!#$%&'*+.^`|~-]+$/.test(name))
    .join(', ');
}
