/** The checks of both APIs before a run: paths, keys, bodies, and the shape of requests. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { rawConnection, rawRequest } from '../support/raw-http.ts';
import { startScriptedService } from '../support/scripted-agent.ts';
import { ask, errorText, testToken } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';
import { requirement } from './requirements.ts';

describe('the key', () => {
  test(requirement(['C-8', 'item-100', 'item-102']), async (t) => {
    const service = await startScriptedService(t);
    const paths = [
      ['GET', '/v1/models'],
      ['GET', '/openai/v1/models/haiku'],
      ['POST', '/v1/chat/completions'],
      ['POST', '/openai/v1/chat/completions'],
      ['GET', '/ready'],
      ['GET', '/metrics'],
      ['GET', '/openapi.json'],
      ['GET', '/docs'],
      ['GET', '/nothing/here'],
    ] as const;
    const keys = [
      undefined,
      'Bearer wrong',
      'Bearer ',
      'Bearer',
      `Basic ${testToken}`,
      testToken,
      `Bearer ${testToken}x`,
    ];
    for (const [method, path] of paths) {
      for (const key of keys) {
        const headers: Record<string, string> = key === undefined ? {} : { authorization: key };
        const response = await fetch(service.url + path, { method, headers, body: method === 'POST' ? 'x' : null });
        assert.equal(response.status, 401, `${method} ${path} ${key}`);
        assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer/);
        assert.ok('error' in ((await response.json()) as object));
      }
    }
    assert.equal((await fetch(`${service.url}/health`)).status, 200);
  });

  test(requirement(['C-8', 'item-100'], 'a request without the key is answered before its body arrives'), async (t) => {
    const service = await startScriptedService(t);
    const head = rawRequest('POST', '/v1/chat/completions', {
      'content-type': 'application/json',
      'content-length': '1000000',
    });
    const connection = await rawConnection(t, service.url, head);
    await waitUntil('the answer has come', () => connection.text.startsWith('HTTP/1.1 401 '));
  });

  test(requirement('C-9'), async (t) => {
    const service = await startScriptedService(t, { API_BEARER_TOKEN: '' });
    for (const authorization of ['', 'Bearer ', 'Bearer undefined', 'Basic Og==']) {
      assert.equal((await fetch(`${service.url}/v1/models`, { headers: { authorization } })).status, 401);
      assert.equal((await fetch(`${service.url}/docs`, { headers: { authorization } })).status, 401);
    }
    assert.equal((await fetch(`${service.url}/health`)).status, 200);
  });

  test(requirement('item-101'), async (t) => {
    const { url } = await startScriptedService(t);
    for (const authorization of [`bearer ${testToken}`, `BEARER   ${testToken} `]) {
      assert.equal((await fetch(`${url}/v1/models`, { headers: { authorization } })).status, 200);
    }
  });

  test('a browser may show the pages with the key as the password, but no other path', async (t) => {
    const { url } = await startScriptedService(t);
    const headers = { authorization: `Basic ${Buffer.from(`anyone:${testToken}`).toString('base64')}` };
    const docs = await fetch(`${url}/docs`, { headers });
    assert.equal(docs.status, 200);
    assert.doesNotMatch(await docs.text(), /(?:src|href)="(?!\/)/);
    assert.equal((await fetch(`${url}/v1/models`, { headers })).status, 401);
    assert.match((await fetch(`${url}/docs`)).headers.get('www-authenticate') ?? '', /Bearer.*Basic/);
  });
});

describe('a path', () => {
  test(requirement(['C-23', 'item-3', 'item-4', 'item-99', 'item-70']), async (t) => {
    const service = await startScriptedService(t);
    const headers = { authorization: `Bearer ${testToken}`, 'content-type': 'application/json' };
    for (const [method, path, status, allow] of [
      ['GET', '/v1/nothing', 404, null],
      ['POST', '/v1/embeddings', 404, null],
      ['POST', '/openai/v1/completions', 404, null],
      ['POST', '/openai/v1/responses', 404, null],
      ['GET', '/v1/chat/completions/chatcmpl-1', 404, null],
      ['PUT', '/nothing', 404, null],
      ['GET', '/v1/chat/completions', 405, 'POST'],
      ['DELETE', '/openai/v1/models/haiku', 405, 'GET, HEAD'],
      ['POST', '/health', 405, 'GET, HEAD'],
    ] as const) {
      const response = await fetch(service.url + path, { method, headers, ...(method === 'GET' ? {} : { body: '{' }) });
      assert.equal(response.status, status, `${method} ${path}`);
      assert.equal(response.headers.get('allow'), allow);
      assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
      assert.ok('error' in ((await response.json()) as object));
    }
    const embeddings = await service.post('/v1/embeddings', {});
    assert.match(await errorText(embeddings), /\/v1\/chat\/completions/);
    assert.match(await errorText(await service.post('/openai/v1/responses', {})), /chat completions/);
  });

  test(requirement(['item-2', 'item-1']), async (t) => {
    const service = await startScriptedService(t);
    const paths = ['/chat/completions', '/v1//chat/completions', '/v1/chat/completions/', '/openai/chat/completions'];
    for (const path of [...paths, '//openai/v1//chat/completions', '/v1/chat/completions?api-version=1']) {
      assert.equal((await service.post(path, ask('hi'))).status, 200, path);
    }
    assert.equal((await service.get('/models/')).status, 200);
  });

  test('a path that is not well-formed is 400 with a JSON body', async (t) => {
    const service = await startScriptedService(t);
    const response = await service.get('/v1/models/%zz');
    assert.equal(response.status, 400);
    assert.ok('error' in ((await response.json()) as object));
    assert.ok(response.headers.get('x-request-id'));
  });
});
