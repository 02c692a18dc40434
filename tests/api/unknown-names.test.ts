/**
 * A name that nothing understands is an error with the nearest right name, or is named in `x-ignored-params`: each field
 * and each query parameter of each endpoint, from the server's own description.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { rawConnection, rawRequest } from '../support/raw-http.ts';
import { type ScriptedService, startScriptedService } from '../support/scripted-agent.ts';
import { errorText, testToken } from '../support/service.ts';

type Described = {
  paths: Record<
    string,
    Record<
      string,
      {
        parameters?: { name: string; in: string }[];
        requestBody?: { content: { 'application/json': { schema: { properties: Record<string, unknown> } } } };
      }
    >
  >;
};

type Operation = { method: string; path: string; query: string[]; fields: string[] };

async function operationsOf(service: ScriptedService): Promise<Operation[]> {
  const { paths } = (await (await service.get('/openapi.json')).json()) as Described;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody }]) => ({
      method: method.toUpperCase(),
      path: path.replace(/\{\w+\}/g, '00000000-0000-0000-0000-000000000000'),
      query: parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name),
      fields: Object.keys(requestBody?.content['application/json'].schema.properties ?? {}),
    })),
  );
  assert.ok(operations.length >= 16 && operations.some(({ query }) => query.length >= 4));
  return operations;
}

/** The name with one letter doubled. */
function misspelt(name: string): string {
  return name.slice(0, 1) + name;
}

/** Asserts that the answer names the unknown name, and if it refuses it, the right one. */
async function told(response: Response, wrong: string, right: string | undefined): Promise<void> {
  const what = `${response.url} ${wrong}`;
  const named = (response.headers.get('x-ignored-params') ?? '').split(',');
  if (named.includes(wrong)) return;
  const text = await errorText(response);
  assert.equal(response.status, 400, `${what}: ${text}`);
  assert.ok(text.startsWith(`Cannot read the request: ${wrong}: there is no such `), `${what}: ${text}`);
  if (right) assert.ok(text.endsWith(`did you mean ${right}?`), `${what}: ${text}`);
}

const bodies: Record<string, object> = { '/execute': { prompt: 'x' } };
const chatBody = { messages: [{ role: 'user', content: 'x' }] };

describe('at every endpoint', () => {
  test('an unknown query parameter is an error, or is named', async (t) => {
    const service = await startScriptedService(t);
    for (const { method, path, query } of await operationsOf(service)) {
      for (const [wrong, right] of [['zzz', undefined], ...query.map((name) => [misspelt(name), name])] as const) {
        const body = method === 'POST' ? JSON.stringify(bodies[path] ?? chatBody) : null;
        const headers = { authorization: `Bearer ${testToken}`, 'content-type': 'application/json' };
        await told(await fetch(`${service.url}${path}?${wrong}=1`, { method, headers, body }), String(wrong), right);
      }
    }
  });

  test('an unknown field of the body is an error, or is named', async (t) => {
    const service = await startScriptedService(t);
    const withBody = (await operationsOf(service)).filter(({ fields }) => fields.length > 0);
    assert.ok(withBody.length >= 3);
    for (const { path, fields } of withBody) {
      for (const [wrong, right] of [['zzz', undefined], ...fields.map((name) => [misspelt(name), name])] as const) {
        const body = { ...(bodies[path] ?? chatBody), [String(wrong)]: 1 };
        await told(await service.post(path, body), String(wrong), right);
      }
    }
  });

  test('a body that nothing reads is an error', async (t) => {
    const service = await startScriptedService(t);
    for (const { method, path } of await operationsOf(service)) {
      if (method === 'POST') continue;
      const headers = { authorization: `Bearer ${testToken}`, 'content-type': 'application/json', connection: 'close' };
      const { closed } = await rawConnection(t, service.url, rawRequest(method, path, headers, '{"reason":"x"}'));
      assert.match(await closed, new RegExp(`^HTTP/1\\.1 400 .*${method} takes no body here`, 's'), path);
    }
  });
});

test('fields of jobs that people guess are refused with the field that they mean', async (t) => {
  const service = await startScriptedService(t);
  for (const [wrong, says] of [
    ['max_budget', /did you mean max_budget_usd\?$/],
    ['timeout_second', /did you mean timeout_seconds\?$/],
    ['callback', /did you mean callback_url\?$/],
    ['timeoutSeconds', /did you mean timeout_seconds\?$/],
    ['run_at', /there are prompt, agent, model, .*deliver$/],
    ['__proto__', /^Cannot read the request: __proto__: there is no such field/],
    ['prompt\n', /^Cannot read the request: prompt\?: there is no such field/],
  ] as const) {
    const response = await service.post('/execute', `{"prompt":"x",${JSON.stringify(wrong)}:1}`);
    assert.equal(response.status, 400, wrong);
    assert.match(await errorText(response), says);
  }
  for (const query of ['statu=failed&since=1', 'since=2026-01-01']) {
    const response = await service.get(`/jobs?${query}`);
    assert.equal(response.status, 400);
    assert.match(
      await errorText(response),
      /there is no such query parameter here; (did you mean status|there are status)/,
    );
  }
});

test('a query parameter without a value is absent', async (t) => {
  const service = await startScriptedService(t);
  assert.equal((await service.get('/jobs?status=&agent=&limit=&cursor=')).status, 200);
  const { job_id } = (await (await service.post('/execute', { prompt: 'x' })).json()) as { job_id: string };
  const events = await service.get(`/jobs/${job_id}/events?after=`);
  assert.equal(events.status, 200);
  assert.match(await events.text(), /^retry: 1000\n\nid: 1\n/);
  assert.equal((await service.get('/jobs?limit=1&limit=2')).status, 400);
});

test('fields inside of the messages and the format are named too, and many names are cut', async (t) => {
  const service = await startScriptedService(t);
  const ignored = async (body: object, query = '') => {
    const response = await service.post(`/openai/v1/chat/completions${query}`, body);
    assert.equal(response.status, 200, await response.text());
    return response.headers.get('x-ignored-params') ?? '';
  };
  const messages = [
    { role: 'system', name: 'a', content: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } }] },
    { role: 'user', name: 'b', content: 'x' },
  ];
  const format = { type: 'text', grammar: 'x' };
  assert.equal(
    await ignored({ messages, response_format: format, seed: 1 }, '?api-version=1'),
    'api-version,seed,messages.name,messages.content.cache_control,response_format.grammar',
  );
  const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, at) => [`field${at}`, 1]));
  const names = (await ignored({ ...chatBody, ...many })).split(',');
  assert.deepEqual([names.length, names[0], names[49], names[50]], [51, 'field0', 'field49', '...']);
  assert.equal(await ignored({ ...chatBody, 'naïve,\n': 1, ['x'.repeat(100)]: 1 }), `na?ve??,${'x'.repeat(64)}`);
  const strict = await startScriptedService(t, { IGNORED_PARAMS: 'reject' });
  for (const [path, body] of [
    ['/openai/v1/chat/completions?api-version=1', chatBody],
    ['/v1/chat/completions', { messages: [{ role: 'user', content: 'x', name: 'b' }] }],
  ] as const) {
    assert.equal((await strict.post(path, body)).status, 400);
  }
});
