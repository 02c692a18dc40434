/**
 * Describes all routes for machines (`/openapi.json`) and for people (`/docs`), from the shapes that check the
 * requests.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { errorTable } from '../errors.ts';
import type { AnyApi } from './api.ts';

/** One operation of the API. */
export type Operation = {
  /** The HTTP method in lower case. */
  method: string;
  /** The path, with parameters such as `{id}`. */
  path: string;
  summary: string;
  /** The JSON Schema of the request body. Undefined if there is no body. */
  body?: object;
  /** The JSON Schemas of the query parameters, by name. */
  query?: Record<string, unknown>;
  /** The status of a successful answer. 200 if undefined. */
  answer?: number;
  /** Further error statuses, besides those that every operation may have. */
  errors?: number[];
  open?: boolean;
};

export function openapiRoutes(server: FastifyInstance, version: string, operations: () => Operation[]): void {
  let description: object | undefined;
  // A page, so that a browser that has shown `/docs` can follow its link.
  server.get('/openapi.json', { config: { page: true } }, async () => {
    description ??= describeApi(version, operations());
    return description;
  });
  server.get('/docs', { config: { page: true } }, async (request, reply) =>
    reply.type('text/html; charset=utf-8').send(docsPage(operations(), version, baseUrlOf(request))),
  );
}

/** Returns the URL under which the reader has reached this server, for the examples. */
function baseUrlOf({ host, socket }: FastifyRequest): string {
  return `http://${/^[\w.:[\]-]+$/.test(host) ? host : `localhost:${socket.localPort}`}`;
}

/** Returns the operations of the APIs, under their base paths with a version. */
export function chatOperations(apis: AnyApi[]): Operation[] {
  const described = ({ bases }: AnyApi) => {
    const versioned = bases.filter((base) => base.endsWith('/v1'));
    return versioned.length > 0 ? versioned : bases;
  };
  const requests = apis.flatMap((api) =>
    described(api).map((base): Operation => {
      const { summary, body } = api.about;
      return { method: 'post', path: `${base}${api.path}`, summary, body: body() };
    }),
  );
  const models = [...new Set(apis.flatMap(described))].flatMap((base): Operation[] => [
    { method: 'get', path: `${base}/models`, summary: 'The models that a request may name' },
    { method: 'get', path: `${base}/models/{id}`, summary: 'One of these models' },
  ]);
  return [...requests, ...models];
}

export const serverOperations: Operation[] = [
  { method: 'get', path: '/health', summary: 'How busy the server is; needs no key', open: true },
  {
    method: 'get',
    path: '/ready',
    summary: 'Whether it takes work: 200 or 503',
    query: { for: { type: 'string', enum: ['chat', 'jobs'] } },
    errors: [400, 503],
  },
  { method: 'get', path: '/metrics', summary: 'Counters in the text format of Prometheus' },
  { method: 'get', path: '/openapi.json', summary: 'This description' },
  { method: 'get', path: '/docs', summary: 'This description, for people' },
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

/** Returns each error status that an operation can have, with its meaning from the error table. */
function errorResponses(withBody: boolean, more: number[] = []): Record<string, object> {
  const usual = [401, 404, ...more];
  const rows = Object.values(errorTable).filter(({ status }) => withBody || usual.includes(status));
  const byStatus = Map.groupBy(rows, ({ status }) => status);
  return Object.fromEntries(
    [...byStatus].map(([status, same]) => [status, { description: same.map(({ about }) => about).join(' ') }]),
  );
}

/** Returns an HTML page that lists the operations. The page loads nothing. */
function docsPage(operations: Operation[], version: string, base: string): string {
  const rows = operations.map(
    ({ method, path, summary }) =>
      `<tr><td><b>${method.toUpperCase()}</b></td><td><code>${escaped(path)}</code></td><td>${escaped(summary)}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>claude-agent-server</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light dark }
td { padding: .3rem 1rem .3rem 0; vertical-align: top } pre { overflow: auto; padding: 1rem; border: 1px solid #8886 }
</style></head><body>
<h1>claude-agent-server ${escaped(version)}</h1>
<p>Every request but <code>GET /health</code> needs <code>Authorization: Bearer KEY</code>, <code>x-api-key: KEY</code> or <code>api-key: KEY</code>.
A browser asks for a name and a password here: any name, and the key as the password.
All of this for machines: <a href="/openapi.json">/openapi.json</a>.</p>
<table>${rows.join('\n')}</table>
<h2>For example</h2>
<pre>curl ${base}/v1/chat/completions \\
  -H "Authorization: Bearer $API_BEARER_TOKEN" -H "Content-Type: application/json" \\
  -d '{"messages":[{"role":"user","content":"What does this repository do?"}]}'</pre>
<p>For OpenAI clients with streaming the base URL is <code>${base}/openai/v1</code>.</p>
</body></html>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
