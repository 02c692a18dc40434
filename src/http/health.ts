/** How the server is: for load balancers, orchestrators and dashboards. */
import type { FastifyInstance } from 'fastify';
import { ServiceError } from '../errors.ts';
import type { ServerDeps } from './deps.ts';

export function healthRoutes(server: FastifyInstance, deps: ServerDeps): void {
  server.get('/health', { config: { open: true } }, async () => ({
    status: 'ok',
    version: deps.version,
    ...deps.state(),
  }));

  server.get('/ready', async () => {
    const why = deps.notReady();
    if (why === undefined) return { status: 'ready' };
    throw new ServiceError('shutting_down', `Cannot take work: ${why}`);
  });

  server.get('/metrics', async (_request, reply) => {
    const { contentType, text } = await deps.metrics();
    return reply.type(contentType).send(text);
  });
}
