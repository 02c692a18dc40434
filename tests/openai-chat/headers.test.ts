/** The headers of every answer, and the rules of HTTP: ids, CORS, HEAD and OPTIONS, odd but legal requests. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { requirement } from '../contract/requirements.ts';
import { rawConnection, rawRequest } from '../support/raw-http.ts';
import { activeRuns, askFor, startScriptedService } from '../support/scripted-agent.ts';
import { ask, testToken } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

const key = { authorization: `Bearer ${testToken}` };

describe('an answer', () => {
  test(requirement(['C-22', 'item-103', 'item-104', 'item-106']), async (t) => {
    const service = await startScriptedService(t);
    const chat = '/openai/v1/chat/completions';
    const answers = [
      service.post(chat, ask('one')),
      service.post(chat, ask('two', { stream: true })),
      service.post('/v1/chat/completions', '{'),
      service.post(chat, 'x', { 'content-type': 'text/plain' }),
      service.get(chat),
      service.get('/nothing'),
      service.get('/health'),
      fetch(service.url + chat),
      fetch(`${service.url}/v1/models/%zz`, { headers: key }),
    ];
    const ids = new Set<string>();
    for (const response of await Promise.all(answers)) {
      const id = response.headers.get('x-request-id') ?? '';
      assert.match(id, /^[A-Za-z0-9._-]{1,128}$/);
      assert.equal(response.headers.get('request-id'), id);
      assert.equal(
        [...response.headers.keys()].some((name) => name.includes('ratelimit')),
        false,
      );
      ids.add(id);
    }
    assert.equal(ids.size, answers.length);
    for (const [given, taken] of [
      ['my-id_1.2', true],
      ['x'.repeat(129), false],
      ['two words', false],
      ['a"b', false],
    ] as const) {
      const response = await service.get('/v1/models', { 'x-request-id': given });
      assert.equal(response.headers.get('x-request-id') === given, taken);
    }
  });

  test(requirement('item-103', 'bytes that are not HTTP are answered with JSON and an id too'), async (t) => {
    const service = await startScriptedService(t);
    const connection = await rawConnection(t, service.url, 'NOT HTTP AT ALL\r\n\r\n');
    const text = await connection.closed;
    assert.match(text, /^HTTP\/1\.1 400 .*x-request-id: .*"error"/s);
    const large = await rawConnection(t, service.url, rawRequest('GET', '/health', { 'x-large': 'x'.repeat(20_000) }));
    assert.match(await large.closed, /^HTTP\/1\.1 431 .*"error"/s);
  });

  test(requirement('item-105'), async (t) => {
    const service = await startScriptedService(t);
    for (const traceparent of ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'nonsense']) {
      assert.equal((await service.chat('/v1', ask('hi'), { traceparent, tracestate: 'x=1' })).status, 200);
    }
  });
});

describe('CORS', () => {
  const origin = 'https://chat.example';

  test(requirement('item-107', 'by default no page of another origin may read an answer'), async (t) => {
    const service = await startScriptedService(t);
    const response = await service.get('/v1/models', { origin });
    assert.equal(response.headers.get('access-control-allow-origin'), null);
    const preflight = await fetch(`${service.url}/v1/chat/completions`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST' },
    });
    assert.equal(preflight.status, 401);
  });

  test(requirement('item-107'), async (t) => {
    const service = await startScriptedService(t, { CORS_ORIGINS: `${origin}, http://localhost:3000` });
    const asked = 'authorization, content-type, x-stainless-os, x-anything';
    const preflight = (from: string) =>
      fetch(`${service.url}/openai/v1/chat/completions`, {
        method: 'OPTIONS',
        headers: { origin: from, 'access-control-request-method': 'POST', 'access-control-request-headers': asked },
      });
    const allowed = await preflight(origin);
    assert.equal(allowed.status, 204);
    assert.equal(allowed.headers.get('access-control-allow-origin'), origin);
    assert.equal(allowed.headers.get('access-control-allow-headers'), asked);
    assert.match(allowed.headers.get('access-control-allow-methods') ?? '', /POST/);
    assert.equal((await preflight('https://evil.example')).status, 401);

    for (const body of [ask('hi'), ask('hi', { stream: true }), { messages: [] }]) {
      const response = await service.chat('/openai/v1', body, { origin });
      assert.equal(response.headers.get('access-control-allow-origin'), origin);
      const exposed = response.headers.get('access-control-expose-headers') ?? '';
      for (const name of ['x-request-id', 'retry-after', 'x-ignored-params']) assert.ok(exposed.includes(name));
      await response.text();
    }
    const other = await service.get('/v1/models', { origin: 'https://evil.example' });
    assert.equal(other.headers.get('access-control-allow-origin'), null);
    assert.equal(other.headers.get('vary'), 'origin');
  });
});

describe('HTTP', () => {
  test(requirement(['item-110', 'item-4'], 'HEAD and OPTIONS are answered without a body'), async (t) => {
    const service = await startScriptedService(t);
    for (const path of ['/v1/models', '/health', '/openai/v1/models/haiku']) {
      const response = await fetch(service.url + path, { method: 'HEAD', headers: key });
      assert.equal(response.status, 200);
      assert.equal(await response.text(), '');
    }
    const options = await fetch(`${service.url}/v1/chat/completions`, { method: 'OPTIONS', headers: key });
    assert.deepEqual([options.status, options.headers.get('allow')], [204, 'POST']);
    assert.equal((await fetch(`${service.url}/v1/chat/completions`, { method: 'HEAD', headers: key })).status, 405);
  });

  test(requirement('item-110'), async (t) => {
    const service = await startScriptedService(t);
    const body = JSON.stringify(askFor({ say: ['expected'] }));
    const headers = { ...key, 'content-type': 'application/json' };
    const expecting = await rawConnection(
      t,
      service.url,
      rawRequest('POST', '/v1/chat/completions', {
        ...headers,
        expect: '100-continue',
        'content-length': String(Buffer.byteLength(body)),
      }),
    );
    await waitUntil('the server asks for the body', () => expecting.text.startsWith('HTTP/1.1 100 Continue'));
    expecting.socket.write(body);
    await waitUntil('the answer has come', () => expecting.text.includes('"content":"expected"'));

    const pipelined = Array.from({ length: 12 }, (_, at) =>
      rawRequest('POST', '/v1/chat/completions', headers, JSON.stringify(ask('hi', { model: `no-${at}` }))),
    );
    const connection = await rawConnection(t, service.url, pipelined.join(''));
    await waitUntil('all have been answered', () => connection.text.split('HTTP/1.1 400').length === 13);
  });

  test(requirement('item-109'), async (t) => {
    const service = await startScriptedService(t);
    const response = await service.get('/health');
    const [, seconds] = /timeout=(\d+)/.exec(response.headers.get('keep-alive') ?? '') ?? [];
    assert.ok(Number(seconds) > 60);
  });

  test(requirement('item-74', 'a client that goes away behind a pipelined request ends its agents too'), async (t) => {
    const service = await startScriptedService(t, { MAX_CONCURRENT_RUNS: '2', CLIENT_GRACE_SECONDS: '0.1' });
    const headers = { ...key, 'content-type': 'application/json' };
    const requests = [1, 2].map((at) =>
      rawRequest('POST', '/v1/chat/completions', headers, JSON.stringify({ ...askFor({ hang: true }), seed: at })),
    );
    const { port } = new URL(service.url);
    const socket = connect(Number(port), '127.0.0.1', () => socket.write(requests.join('')));
    await waitUntil('both run', async () => (await activeRuns(service)) === 2);
    socket.destroy();
    await waitUntil('both slots are free', async () => (await activeRuns(service)) === 0);
  });
});
