/** The API described for machines (`/openapi.json`) and for people (`/docs`), from the same shapes that check requests. */
import type { FastifyInstance } from 'fastify';
import { errorTable } from '../errors.ts';
import type { AnyApi } from './api.ts';
import { docsPage } from './docs-page.ts';
import type { Operation } from './operation.ts';

export function openapiRoutes(server: FastifyInstance, version: string, operations: () => Operation[]): void {
  let description: object | undefined;
  server.get('/openapi.json', async () => {
    description ??= describeApi(version, operations());
    return description;
  });
  server.get('/docs', { config: { page: true } }, async (_request, reply) =>
    reply.type('text/html; charset=utf-8').send(docsPage(operations(), version)),
  );
}

/** Of APIs that ask agents; under the bases that have a version. */
export function chatOperations(apis: AnyApi[]): Operation[] {
  return apis.flatMap(({ bases, path, about }) => {
    const versioned = bases.filter((base) => base.endsWith('/v1'));
    return (versioned.length > 0 ? versioned : bases).flatMap((base) => [
      { method: 'post', path: `${base}${path}`, summary: about.summary, body: about.body() },
      { method: 'get', path: `${base}/models`, summary: 'The models that a request may name' },
      { method: 'get', path: `${base}/models/{id}`, summary: 'One of them' },
    ]);
  });
}

export const serverOperations: Operation[] = [
  { method: 'get', path: '/health', summary: 'How busy the server is; needs no key', open: true },
  { method: 'get', path: '/ready', summary: 'Whether it takes work: 200 or 503' },
  { method: 'get', path: '/metrics', summary: 'Counters in the text format of Prometheus' },
  { method: 'get', path: '/openapi.json', summary: 'This description' },
];

function describeApi(version: string, operations: Operation[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of operations) {
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

/** Every status of the error table that this operation can answer, with its meaning. */
function errorResponses(withBody: boolean, more: number[] = []): Record<string, object> {
  const usual = [401, 404, ...more];
  const rows = Object.values(errorTable).filter(({ status }) => withBody || usual.includes(status));
  const byStatus = Map.groupBy(rows, ({ status }) => status);
  return Object.fromEntries(
    [...byStatus].map(([status, same]) => [status, { description: same.map(({ about }) => about).join(' ') }]),
  );
}
