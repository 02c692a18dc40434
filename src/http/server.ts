/** The HTTP server: names, authentication, errors and logging of every request. It is given the routes. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { ServiceError } from '../errors.ts';
import type { Owner } from '../task.ts';
import { type Auth, createAuth } from './auth.ts';
import { refuseBrokenRequest } from './broken-request.ts';
import { applyCors } from './cors.ts';
import { readJsonBodies } from './json-body.ts';
import { KnownPaths } from './known-paths.ts';
import { type ErrorBody, replyError } from './replies.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The body of an error answer of this route. */
    errorBody?: ErrorBody;
    /** Needs no key. */
    open?: boolean;
    /** A page for people: a browser's own password dialogue is accepted too. */
    page?: boolean;
  }
  interface FastifyRequest {
    /** Further fields of its log line. */
    facts: Partial<Answered>;
    /** The owner of the key that it carries; empty where no key is needed. */
    owner: Owner;
  }
}

/** One answered request. */
export type Answered = {
  requestId: string;
  method: string;
  /** Without its query. */
  path: string;
  status: number;
  durationMs: number;
  /** The client went away before it had the whole answer. */
  unfinished?: boolean;
  /** The code of the error that was answered. */
  error?: string;
  traceparent?: string;
  /** Of a request that asks for a run. */
  runId?: string;
  model?: string;
  stream?: boolean;
  /** It joined, or was answered by, a run that another request had started. */
  repeat?: boolean;
  ignoredParams?: string[];
  /** The caller's own name for its user. */
  user?: string;
};

export type HttpLog = {
  answered(entry: Answered): void;
  /** An unexpected error; the client was told `internal`. */
  fault(entry: { requestId: string; error: unknown }): void;
};

export type HttpDeps = {
  settings: { bodyLimitBytes: number; corsOrigins: string[] };
  /** A request that carries one of these is accepted; if all are empty, only open routes are. */
  keys: string[];
  /** Adds the routes. */
  addRoutes(server: FastifyInstance): void;
  /** How errors are told at a path that has no route. */
  errorBodyAt(path: string): ErrorBody;
  /** What the caller may have looked for at a path that has no route. */
  hintFor(path: string): string;
  log: HttpLog;
};

export type HttpServer = {
  /** @returns the base URL */
  listen(address: { host: string; port: number }): Promise<string>;
  /** Closes; clients get a moment to read what was answered last. */
  destroy(): Promise<void>;
};

/** How long clients may take to read what was answered last. */
const lastAnswersMs = 2000;

export function createServer(deps: HttpDeps): HttpServer {
  const server = fastify({
    bodyLimit: deps.settings.bodyLimitBytes,
    // Longer than the pools of clients keep a connection, so that the client closes it.
    keepAliveTimeout: 75_000,
    requestTimeout: 120_000,
    genReqId: requestId,
    return503OnClosing: false,
    forceCloseConnections: false,
    routerOptions: { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, maxParamLength: 500 },
    frameworkErrors: (error, request, reply) => {
      prepare(request, reply);
      logWhenAnswered(request, reply, deps);
      replyError(reply, error, errorBodyOf(request, deps));
    },
    clientErrorHandler: refuseBrokenRequest,
    // Zod checks the bodies, so Fastify's own schema compilers need not be loaded.
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
  });
  // Each pipelined request watches its connection.
  server.server.on('connection', (socket) => socket.setMaxListeners(0));
  checkEveryRequest(server, deps, createAuth(deps.keys));
  server.setErrorHandler((thrown, request, reply) => {
    const error = replyError(reply, thrown, errorBodyOf(request, deps));
    request.facts.error = error.code;
    if (error.code === 'internal') deps.log.fault({ requestId: request.id, error: error.extra.cause ?? error });
  });
  readJsonBodies(server);
  deps.addRoutes(server);
  return { listen: (address) => server.listen(address), destroy: () => destroy(server) };
}

async function destroy(server: FastifyInstance): Promise<void> {
  // A connection whose last answer ends later than `close` would be kept for the client's next request.
  const sweep = setInterval(() => server.server.closeIdleConnections(), 20);
  const cutOff = setTimeout(() => server.server.closeAllConnections(), lastAnswersMs);
  await server.close();
  clearInterval(sweep);
  clearTimeout(cutOff);
}

/** The checks before any route, in this order: request id, CORS, key, path. Bodies are read later. */
function checkEveryRequest(server: FastifyInstance, deps: HttpDeps, auth: Auth): void {
  const paths = new KnownPaths();
  server.decorateRequest('facts');
  server.decorateRequest('owner', '');
  server.addHook('onRoute', ({ url, method }) => paths.add(url, method));
  server.addHook('onRequest', async (request, reply) => {
    prepare(request, reply);
    logWhenAnswered(request, reply, deps);
    if (applyCors(request, reply, deps.settings.corsOrigins).preflight) return reply.code(204).send();
    authenticate(request, reply, auth);
    if (!request.is404) return;
    const path = pathOf(request);
    const allow = paths.methodsOf(path);
    if (request.method !== 'OPTIONS' || allow.length === 0) throw noRoute(request.method, path, allow, deps);
    return reply.code(204).header('allow', allow.join(', ')).send();
  });
}

function noRoute(method: string, path: string, allow: string[], { hintFor }: HttpDeps): ServiceError {
  const shown = JSON.stringify(path.slice(0, 200));
  if (allow.length === 0) return new ServiceError('not_found', `Cannot serve ${shown}: ${hintFor(path)}`);
  const message = `Cannot ${method} ${shown}: it takes ${allow.join(', ')}`;
  return new ServiceError('method_not_allowed', message, { allow });
}

/** Throws `unauthorized`. */
function authenticate(request: FastifyRequest, reply: FastifyReply, auth: Auth): void {
  const { open, page } = request.routeOptions.config;
  if (open) return;
  if (page) reply.header('www-authenticate', 'Bearer, Basic realm="claude-agent-server"');
  request.owner = auth.ownerOf(request.headers.authorization, page === true);
  reply.removeHeader('www-authenticate');
}

/** Sets the headers that every answer has. */
function prepare(request: FastifyRequest, reply: FastifyReply): void {
  request.facts = {};
  reply.header('x-request-id', request.id).header('request-id', request.id);
}

function logWhenAnswered(request: FastifyRequest, reply: FastifyReply, deps: HttpDeps): void {
  const startedAt = performance.now();
  reply.raw.once('close', () => {
    const { traceparent } = request.headers;
    deps.log.answered({
      requestId: request.id,
      method: request.method,
      path: pathOf(request),
      status: reply.raw.statusCode,
      durationMs: performance.now() - startedAt,
      ...(reply.raw.writableFinished ? {} : { unfinished: true }),
      ...(typeof traceparent === 'string' ? { traceparent } : {}),
      ...request.facts,
    });
  });
}

function errorBodyOf(request: FastifyRequest, deps: HttpDeps): ErrorBody {
  return request.routeOptions.config?.errorBody ?? deps.errorBodyAt(pathOf(request));
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '';
}

/** The caller's own name for the request, if it can stand in a header. */
function requestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && /^[A-Za-z0-9._-]{1,128}$/.test(given) ? given : `req_${randomUUID()}`;
}

function noSchemas(): never {
  throw new Error('Cannot compile the schema of a route: no route has one');
}
