/** The API described for machines (`/openapi.json`) and for people (`/docs`), from the same shapes that check requests. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { jobOperations } from '../api/jobs/operations.ts';
import { chatRequestShape } from '../api/openai-chat/request-shape.ts';
import { errorTable } from '../errors.ts';
import { docsPage } from './docs-page.ts';

export type Operation = {
  method: string;
  path: string;
  summary: string;
  body?: object;
  /** JSON Schemas of the parameters in the query. */
  query?: Record<string, unknown>;
  /** The status of success; 200 unless said. */
  answer?: number;
  /** Statuses of errors besides those that every operation may answer. */
  errors?: number[];
  open?: boolean;
};

export function openapiRoutes(server: FastifyInstance, version: string): void {
  let description: object | undefined;
  const describe = () => {
    description ??= describeApi(version);
    return description;
  };
  server.get('/openapi.json', async () => describe());
  server.get('/docs', { config: { page: true } }, async (_request, reply) =>
    reply.type('text/html; charset=utf-8').send(docsPage(operations(), version)),
  );
}

function operations(): Operation[] {
  const chat = z.toJSONSchema(chatRequestShape, { target: 'openapi-3.0', io: 'input' });
  return [
    ...['/v1', '/openai/v1'].flatMap((door) => [
      {
        method: 'post',
        path: `${door}/chat/completions`,
        summary: door === '/v1' ? 'A chat completion, whole' : 'A chat completion, whole or streamed',
        body: chat,
      },
      { method: 'get', path: `${door}/models`, summary: 'The models that a request may name' },
      { method: 'get', path: `${door}/models/{id}`, summary: 'One of them' },
    ]),
    ...jobOperations(),
    { method: 'get', path: '/health', summary: 'How busy the server is; needs no key', open: true },
    { method: 'get', path: '/ready', summary: 'Whether it takes work: 200 or 503' },
    { method: 'get', path: '/metrics', summary: 'Counters in the text format of Prometheus' },
    { method: 'get', path: '/openapi.json', summary: 'This description' },
  ];
}

function describeApi(version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of operations()) {
    paths[operation.path] = { ...paths[operation.path], [operation.method]: describeOperation(operation) };
  }
  return {
    openapi: '3.0.3',
    info: { title: 'claude-agent-server', version },
    components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
    security: [{ key: [] }],
    paths,
  };
}

function describeOperation({ path, summary, body, query, answer, errors, open }: Operation): object {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
  const parameters = [
    ...names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
    ...Object.entries(query ?? {}).map(([name, schema]) => ({ name, in: 'query', schema })),
  ];
  return {
    summary,
    ...(open ? { security: [] } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body ? { requestBody: { required: true, content: { 'application/json': { schema: body } } } } : {}),
    responses: {
      [answer ?? 200]: { description: 'Done' },
      ...(open ? {} : errorResponses(body !== undefined, errors)),
    },
  };
}

/** Every status of the error table that can come here, with what it means. */
function errorResponses(withBody: boolean, more: number[] = []): Record<string, object> {
  const usual = [401, 404, ...more];
  const rows = Object.values(errorTable).filter(({ status }) => withBody || usual.includes(status));
  const byStatus = Map.groupBy(rows, ({ status }) => status);
  return Object.fromEntries(
    [...byStatus].map(([status, same]) => [status, { description: same.map(({ about }) => about).join(' ') }]),
  );
}
