/** The HTTP server: what holds for every request, and the routes. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { chatRoutes } from '../api/chat-routes.ts';
import type { ChatRuns } from '../api/chat-run.ts';
import { doors } from '../api/doors.ts';
import type { Dialect } from '../api/error-bodies.ts';
import { jobRoutes } from '../api/jobs/routes.ts';
import { modelRoutes } from '../api/model-routes.ts';
import { createModels } from '../api/models.ts';
import { ServiceError } from '../errors.ts';
import { Repeats } from '../runs/repeats.ts';
import type { Owner } from '../task.ts';
import { type Auth, createAuth } from './auth.ts';
import { refuseBrokenRequest } from './broken-request.ts';
import { applyCors } from './cors.ts';
import type { Answered, HttpSettings, ServerDeps } from './deps.ts';
import { healthRoutes } from './health.ts';
import { readJsonBodies } from './json-body.ts';
import { KnownPaths } from './known-paths.ts';
import { openapiRoutes } from './openapi.ts';
import { replyError } from './replies.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** How errors are told; `contract` unless said. */
    dialect?: Dialect;
    /** Needs no key. */
    open?: boolean;
    /** A page for people: a browser's own dialogue for a password serves too. */
    page?: boolean;
  }
  interface FastifyRequest {
    /** What the log is to tell besides. */
    facts: Partial<Answered>;
    /** Whose key let it in; empty where none was asked for. */
    owner: Owner;
  }
}

export type HttpServer = {
  /** @returns the base URL */
  listen(address: { host: string; port: number }): Promise<string>;
  /** Ends every run that a request waits for, answers them, and closes; clients get a moment to read what was answered. */
  destroy(): Promise<void>;
};

/** How long clients may take to read what was answered last. */
const lastAnswersMs = 2000;

export function createServer(deps: ServerDeps): HttpServer {
  const { settings } = deps;
  const server = fastify({
    bodyLimit: settings.bodyLimitBytes,
    // Longer than the clients' pools keep a connection, so that they are the ones to close it.
    keepAliveTimeout: 75_000,
    requestTimeout: 120_000,
    genReqId: requestId,
    return503OnClosing: false,
    forceCloseConnections: false,
    routerOptions: { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, maxParamLength: 500 },
    frameworkErrors: (error, request, reply) => {
      prepare(request, reply);
      logWhenAnswered(request, reply, deps);
      replyError(reply, error, dialectOf(request, settings));
    },
    clientErrorHandler: refuseBrokenRequest,
    // Bodies are checked by Zod: what Fastify would compile schemas with need not be loaded.
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
  });
  // Pipelined requests each watch their connection.
  server.server.on('connection', (socket) => socket.setMaxListeners(0));
  const repeats = new Repeats({ windowMs: settings.repeatWindowSeconds * 1000 });
  const auth = createAuth(deps.keys);
  checkEveryRequest(server, deps, auth);
  server.setErrorHandler((thrown, request, reply) => {
    const error = replyError(reply, thrown, dialectOf(request, settings));
    request.facts.error = error.code;
    if (error.code === 'internal') deps.log.fault({ requestId: request.id, error: error.extra.cause ?? error });
  });
  readJsonBodies(server);
  addRoutes(server, { deps, repeats });
  return {
    listen: (address) => server.listen(address),
    async destroy() {
      const running = repeats.running();
      for (const run of running) {
        // What has begun is not to be asked for again without a thought.
        const code = run.working ? 'interrupted' : 'shutting_down';
        run.stop(new ServiceError(code, 'The run was ended: the server is stopping'));
      }
      await Promise.all(running.map((run) => run.ended));
      // A connection whose last answer ends later than this call would be kept for the client's next request.
      const sweep = setInterval(() => server.server.closeIdleConnections(), 20);
      const impatience = setTimeout(() => server.server.closeAllConnections(), lastAnswersMs);
      await server.close();
      clearInterval(sweep);
      clearTimeout(impatience);
    },
  };
}

/** What comes before any route, in this order: a name, CORS, the key, whether the path exists. Bodies come later. */
function checkEveryRequest(server: FastifyInstance, deps: ServerDeps, auth: Auth): void {
  const paths = new KnownPaths();
  server.decorateRequest('facts');
  server.decorateRequest('owner', '');
  server.addHook('onRoute', ({ url, method }) => paths.add(url, method));
  server.addHook('onRequest', async (request, reply) => {
    prepare(request, reply);
    logWhenAnswered(request, reply, deps);
    if (applyCors(request, reply, deps.settings.corsOrigins).preflight) return reply.code(204).send();
    letIn(request, reply, auth);
    if (!request.is404) return;
    const allow = paths.methodsOf(pathOf(request));
    if (request.method !== 'OPTIONS' || allow.length === 0) throw paths.refusal(request.method, pathOf(request));
    return reply.code(204).header('allow', allow.join(', ')).send();
  });
}

function addRoutes(server: FastifyInstance, runs: ChatRuns): void {
  const models = createModels(runs.deps.settings, Math.floor(Date.now() / 1000));
  for (const door of doors(runs.deps.settings)) {
    chatRoutes(server, door, models, runs);
    modelRoutes(server, door, models);
  }
  if (runs.deps.jobs) jobRoutes(server, runs.deps, runs.deps.jobs, models);
  healthRoutes(server, runs.deps);
  openapiRoutes(server, runs.deps.version);
}

/** Throws `unauthorized`. */
function letIn(request: FastifyRequest, reply: FastifyReply, auth: Auth): void {
  const { open, page } = request.routeOptions.config;
  if (open) return;
  if (page) reply.header('www-authenticate', 'Bearer, Basic realm="claude-agent-server"');
  request.owner = auth.ownerOf(request.headers.authorization, page === true);
  reply.removeHeader('www-authenticate');
}

/** What every answer carries, whatever becomes of the request. */
function prepare(request: FastifyRequest, reply: FastifyReply): void {
  request.facts = {};
  reply.header('x-request-id', request.id).header('request-id', request.id);
}

function logWhenAnswered(request: FastifyRequest, reply: FastifyReply, deps: ServerDeps): void {
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

/** Of a path that has no route, the dialect of its neighbours. */
function dialectOf(request: FastifyRequest, { v1Api }: HttpSettings): Dialect {
  const path = pathOf(request);
  const byPath = path.startsWith('/openai') ? 'openai' : path.startsWith('/v1') ? v1Api : 'native';
  return request.routeOptions.config?.dialect ?? byPath;
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '';
}

/** The caller's own name for the request, where it is fit for a header. */
function requestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && /^[A-Za-z0-9._-]{1,128}$/.test(given) ? given : `req_${randomUUID()}`;
}

function noSchemas(): never {
  throw new Error('Cannot compile the schema of a route: no route has one');
}
