/** Fastify alone: the minimal cost of these answers with it. It ends when its stdin ends. */
import { fastify } from 'fastify';

const [health = '{}', refusal = '{}'] = process.argv.slice(2).map((json) => JSON.parse(json));

const server = fastify();
server.get('/health', async () => health);
server.post('/v1/chat/completions', async (_request, reply) => reply.code(400).send(refusal));
process.stdout.write(`listens on ${await server.listen({ host: '127.0.0.1', port: 0 })}\n`);
process.stdin.once('end', () => process.exit()).resume();
