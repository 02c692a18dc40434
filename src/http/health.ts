/** The routes that show the state of the server to load balancers, orchestrators and Prometheus. */
import type { FastifyInstance } from 'fastify';
import type { ServiceError } from '../errors.ts';

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
  /** Returns why the server cannot take work. Returns `undefined` if it can. */
  notReady(): Promise<ServiceError | undefined>;
  /** Returns the metrics in the text format of Prometheus. */
  metrics(): Promise<{ contentType: string; text: string }>;
};

export function healthRoutes(server: FastifyInstance, deps: HealthDeps): void {
  server.get('/health', { config: { open: true, foreignQuery: true } }, async () => ({
    status: 'ok',
    version: deps.version,
    ...(await deps.state()),
  }));

  server.get('/ready', { config: { foreignQuery: true } }, async () => {
    const error = await deps.notReady();
    if (error) throw error;
    return { status: 'ready' };
  });

  server.get('/metrics', { config: { foreignQuery: true } }, async (_request, reply) => {
    const { contentType, text } = await deps.metrics();
    return reply.type(contentType).send(text);
  });
}
