/** The HTTP server: request ids, authentication, errors and logging. The routes are passed to it. */
import { randomUUID } from 'node:crypto';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { ServiceError } from '../errors.ts';
import type { Owner } from '../task.ts';
import { type Auth, createAuth } from './auth.ts';
import { BodyRoom } from './body-room.ts';
import { refuseBrokenRequest } from './broken-request.ts';
import { applyCors } from './cors.ts';
import { checkHost, type HostSettings } from './host.ts';
import { readJsonBodies } from './json-body.ts';
import { KnownPaths } from './known-paths.ts';
import { limitPipelining } from './pipelining.ts';
import { checkQuery, refuseUnreadBody } from './query.ts';
import { type ErrorBody, replyError } from './replies.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Renders the body of an error answer of this route. */
    errorBody?: ErrorBody;
    /** Whether the route needs no key. */
    open?: boolean;
    /** Whether the route is a page for people. A browser's password dialogue is accepted there too. */
    page?: boolean;
    /** The query parameters that the route reads. */
    query?: string[];
    /**
     * Whether clients of other servers use the route. They add query parameters of their own, which are named in the
     * answer. Elsewhere an unknown parameter is an error.
     */
    foreignQuery?: boolean;
  }
  interface FastifyRequest {
    /** Further fields of the request's log line. */
    facts: Partial<Answered>;
    /** The owner of the request's key. Empty on routes that need no key. */
    owner: Owner;
  }
}

/** The log line of one answered request. */
export type Answered = {
  requestId: string;
  method: string;
  /** The path without its query. */
  path: string;
  status: number;
  durationMs: number;
  /** True if the client disconnected before it had the whole answer. */
  unfinished?: boolean;
  /** The code of the error that was sent to the client. Undefined if there was no error. */
  error?: string;
  traceparent?: string;
  /** The run or job that the request asked for. Undefined for other requests. */
  runId?: string;
  model?: string;
  stream?: boolean;
  /** True if the request joined a run of an earlier request, or got the answer of such a run. */
  repeat?: boolean;
  ignoredParams?: string[];
  /** The caller's own name for its user. */
  user?: string;
};

export type HttpLog = {
  answered(entry: Answered): void;
  /** Called with an unexpected error. The client has got the error `internal`. */
  fault(entry: { requestId: string; error: unknown }): void;
};

export type HttpDeps = {
  settings: HostSettings & { bodyLimitBytes: number; corsOrigins: string[] };
  /** The accepted keys. If all of them are empty, only open routes can be used. */
  keys: string[];
  /** Adds the routes to the server. */
  addRoutes(server: FastifyInstance): void;
  /** Returns what renders the errors at a path without a route. */
  errorBodyAt(path: string): ErrorBody;
  /** Returns a hint for a path without a route: what the caller may have looked for. */
  hintFor(path: string): string;
  log: HttpLog;
};

export type HttpServer = {
  /**
   * Starts to listen.
   * @returns the base URL
   */
  listen(address: { host: string; port: number }): Promise<string>;
  /** Closes the server. Clients get 2 s to read the last answers. */
  destroy(): Promise<void>;
};

/** How long clients may take to read the last answers, in milliseconds. */
const lastAnswersMs = 2000;

/** How many bodies of the largest size are read at once. */
const bodiesAtOnce = 6;

export function createServer(deps: HttpDeps): HttpServer {
  const server = fastify({
    bodyLimit: deps.settings.bodyLimitBytes,
    // 75 s is longer than clients keep an idle connection, so the client closes it, not the server.
    serverFactory: (handle) =>
      createHttpServer({ keepAliveTimeout: 75_000, requestTimeout: 120_000 }, limitPipelining(handle)),
    genReqId: requestId,
    return503OnClosing: false,
    forceCloseConnections: false,
    // The head of a request is shorter, so no path is refused for its length.
    routerOptions: { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, maxParamLength: 20_000 },
    frameworkErrors: (error, request, reply) => {
      prepare(request, reply);
      logWhenAnswered(request, reply, deps);
      replyError(reply, error, errorBodyOf(request, deps));
    },
    // There is no path yet, so the error is in the words that are used outside of all APIs.
    clientErrorHandler: (error, socket) => refuseBrokenRequest(error, socket, deps.errorBodyAt('')),
    // Zod checks the bodies, so Fastify's own schema compilers need not be loaded.
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
  });
  // Each pipelined request listens to its connection, so there is no limit on listeners.
  server.server.on('connection', (socket) => socket.setMaxListeners(0));
  checkEveryRequest(server, deps, createAuth(deps.keys));
  server.setErrorHandler((thrown, request, reply) => {
    const error = replyError(reply, thrown, errorBodyOf(request, deps));
    request.facts.error = error.code;
    if (error.code === 'internal') deps.log.fault({ requestId: request.id, error: error.extra.cause ?? error });
  });
  const { bodyLimitBytes } = deps.settings;
  const room = new BodyRoom({ total: bodiesAtOnce * bodyLimitBytes, perOwner: (bodiesAtOnce / 2) * bodyLimitBytes });
  readJsonBodies(server, bodyLimitBytes, room);
  deps.addRoutes(server);
  return { listen: (address) => server.listen(address), destroy: () => destroy(server) };
}

async function destroy(server: FastifyInstance): Promise<void> {
  // Fastify would keep a connection open whose last answer ends after `close` was called.
  const sweep = setInterval(() => server.server.closeIdleConnections(), 20);
  const cutOff = setTimeout(() => server.server.closeAllConnections(), lastAnswersMs);
  await server.close();
  clearInterval(sweep);
  clearTimeout(cutOff);
}

/** The checks before any route, in this order: request id, host, CORS, key, path, query. Bodies are read later. */
function checkEveryRequest(server: FastifyInstance, deps: HttpDeps, auth: Auth): void {
  const paths = new KnownPaths();
  server.decorateRequest('facts');
  server.decorateRequest('owner', '');
  server.addHook('onRoute', ({ url, method }) => paths.add(url, method));
  server.addHook('onRequest', async (request, reply) => {
    prepare(request, reply);
    logWhenAnswered(request, reply, deps);
    checkHost(request.raw.headersDistinct, boundAddress(server), deps.settings);
    if (applyCors(request, reply, deps.settings.corsOrigins).preflight) return reply.code(204).send();
    authenticate(request, reply, auth);
    if (!request.is404) {
      checkQuery(request, reply);
      refuseUnreadBody(request);
      return;
    }
    const path = pathOf(request);
    const allow = paths.methodsOf(path);
    if (request.method !== 'OPTIONS' || allow.length === 0) throw noRoute(request.method, path, allow, deps);
    return reply.code(204).header('allow', allow.join(', ')).send();
  });
}

function boundAddress({ server }: FastifyInstance): string {
  const address = server.address();
  return typeof address === 'object' && address ? address.address : '';
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
  request.owner = auth.ownerOf(request.raw.headersDistinct, page === true);
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
