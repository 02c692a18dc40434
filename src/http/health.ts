/** The routes that show the state of the server to load balancers, orchestrators and Prometheus. */
import type { FastifyInstance } from 'fastify';
import { invalidField, type ServiceError } from '../errors.ts';

/** The kinds of work for which a load balancer may ask separately. */
export type WorkKind = 'chat' | 'jobs';

export type HealthDeps = {
  version: string;
  /** Returns what `/health` shows. */
  state(): Promise<{
    busy: boolean;
    active: number;
    queued: number;
    capacity: number;
    /** How many jobs wait. Null if the job store does not answer. */
    jobs_waiting: number | null;
  }>;
  /** Returns why the server cannot take this kind of work, or any kind. Returns `undefined` if it can. */
  notReady(kind?: WorkKind): Promise<ServiceError | undefined>;
  /** Returns the metrics in the text format of Prometheus. */
  metrics(): Promise<{ contentType: string; text: string }>;
};

export function healthRoutes(server: FastifyInstance, deps: HealthDeps): void {
  server.get('/health', { config: { open: true, foreignQuery: true } }, async () => ({
    status: 'ok',
    version: deps.version,
    ...(await deps.state()),
  }));

  server.get<{ Querystring: { for?: unknown } }>('/ready', { config: { foreignQuery: true } }, async ({ query }) => {
    const kind = query.for;
    if (kind !== undefined && kind !== 'chat' && kind !== 'jobs') throw invalidField('for', 'must be chat or jobs');
    const error = await deps.notReady(kind);
    if (error) throw error;
    return { status: 'ready' };
  });

  server.get('/metrics', { config: { foreignQuery: true } }, async (_request, reply) => {
    const { contentType, text } = await deps.metrics();
    return reply.type(contentType).send(text);
  });
}
