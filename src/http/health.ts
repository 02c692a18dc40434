/** How the server is: for load balancers, orchestrators and dashboards. */
import type { FastifyInstance } from 'fastify';
import type { ServerDeps } from './deps.ts';

export function healthRoutes(server: FastifyInstance, deps: ServerDeps): void {
  server.get('/health', { config: { open: true } }, async () => ({
    status: 'ok',
    version: deps.version,
    ...deps.state(),
  }));

  server.get('/ready', async () => {
    const error = await deps.notReady();
    if (error) throw error;
    return { status: 'ready' };
  });

  server.get('/metrics', async (_request, reply) => {
    const { contentType, text } = await deps.metrics();
    return reply.type(contentType).send(text);
  });
}
