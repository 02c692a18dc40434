/** Which headers may carry the key, which hosts a server on loopback serves, and what is in the headers of an answer. */
import assert from 'node:assert/strict';
import { STATUS_CODES } from 'node:http';
import { describe, test } from 'node:test';
import { createAuth } from '../../src/http/auth.ts';
import { checkHost } from '../../src/http/host.ts';
import { rawConnection, rawRequest } from '../support/raw-http.ts';
import { startScriptedService } from '../support/scripted-agent.ts';
import { testToken } from '../support/service.ts';

describe('the key of a request', () => {
  const { ownerOf } = createAuth(['right', 'other', '']);
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
  const accepted: [headers: Record<string, string[]>, asPage?: boolean][] = [
    [{ authorization: ['Bearer right'] }],
    [{ authorization: ['bearer   right '] }],
    [{ 'x-api-key': ['right'] }],
    [{ 'api-key': ['right'] }],
    [{ authorization: ['Bearer right'], 'x-api-key': ['right'], 'api-key': ['right'] }],
    [{ authorization: ['Bearer right', 'Bearer right'] }],
    [{ authorization: [basic('a:proxy')], 'x-api-key': ['right'] }],
    [{ authorization: ['Bearer '], 'x-api-key': ['right'] }],
    [{ authorization: [basic('anyone:right')] }, true],
  ];
  for (const [headers, asPage = false] of accepted) {
    test(`is found in ${JSON.stringify(headers)}`, () => {
      assert.equal(ownerOf(headers, asPage), ownerOf({ authorization: ['Bearer right'] }, false));
    });
  }

  const refused: [headers: Record<string, string[]>, why: RegExp, asPage?: boolean][] = [
    [{}, /no header has a key; send "Authorization: Bearer KEY", "x-api-key: KEY" or "api-key: KEY"$/],
    [{}, /in a browser, the key is the password$/, true],
    [{ 'x-api-key': [''] }, /no header has a key/],
    [{ authorization: ['right'] }, /Authorization has no bearer token/],
    [{ authorization: [basic('anyone:right')] }, /Authorization has no bearer token/],
    [{ authorization: ['Bearer secret-1'] }, /the key in Authorization is wrong$/],
    [{ authorization: [basic('anyone:secret-1')] }, /the key in Authorization is wrong$/, true],
    [{ 'x-api-key': ['secret-1'] }, /the key in x-api-key is wrong$/],
    [{ 'api-key': ['secret-1'] }, /the key in api-key is wrong$/],
    [{ authorization: ['Bearer right'], 'x-api-key': ['other'] }, /Authorization and x-api-key have different keys/],
    [{ authorization: ['Bearer right'], 'x-api-key': ['secret-1'] }, /Authorization and x-api-key have different keys/],
    [{ 'x-api-key': ['right'], 'api-key': ['other'] }, /x-api-key and api-key have different keys/],
    [{ authorization: ['Bearer right', 'Bearer other'] }, /two headers Authorization have different keys/],
    [{ 'x-api-key': ['right', 'other'] }, /two headers x-api-key have different keys/],
  ];
  for (const [headers, why, asPage = false] of refused) {
    test(`is refused in ${JSON.stringify(headers)}, and the message repeats nothing of it`, () => {
      assert.throws(
        () => ownerOf(headers, asPage),
        (error: Error) => {
          assert.match(error.message, why);
          assert.doesNotMatch(error.message, /secret-1|right/);
          return true;
        },
      );
    });
  }

  test('may be in each header at every endpoint, also twice on the connection', async (t) => {
    const service = await startScriptedService(t);
    for (const path of ['/v1/models', '/jobs', '/ready', '/openai/v1/models/haiku', '/openapi.json']) {
      for (const header of ['x-api-key', 'api-key']) {
        assert.equal((await fetch(service.url + path, { headers: { [header]: testToken } })).status, 200);
        const both = { [header]: 'another', authorization: `Bearer ${testToken}` };
        assert.equal((await fetch(service.url + path, { headers: both })).status, 401);
      }
    }
    const twice = `GET /jobs HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: ${testToken}\r\nx-api-key: b\r\nConnection: close\r\n\r\n`;
    assert.match(await (await rawConnection(t, service.url, twice)).closed, /^HTTP\/1\.1 401 Unauthorized\r\n/);
  });
});

describe('the host of a request', () => {
  const settings = { host: 'box.internal', allowedHosts: ['agents.example', 'Other.Example:443'] };
  const check = (given: string[], bound = '127.0.0.1', more = {}) =>
    checkHost({ host: given }, bound, { ...settings, ...more });
  for (const host of [
    ...['localhost', 'LOCALHOST:8000', 'localhost.', 'app.localhost:3000', '127.0.0.1:8000', '127.1.2.3', '[::1]:8000'],
    ...['box.internal', 'agents.example', 'AGENTS.example:8443', 'other.example', ''],
  ]) {
    test(`${host} is served on loopback`, () => check([host]));
  }
  for (const host of [
    ...['evil.example', 'localhost.evil.example', 'evil.example:8000', '127.0.0.1.evil.example', 'notlocalhost'],
    ...['10.0.0.1', '[::2]', '0.0.0.0', 'agents.example.evil', 'a b', '[', ':::'],
  ]) {
    test(`${host} is refused on loopback, but not on another address`, () => {
      for (const bound of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) {
        assert.throws(() => check([host], bound), { code: 'host_not_allowed' });
      }
      check([host], '0.0.0.0');
      check([host], '10.0.0.5');
      check([host], '127.0.0.1', { allowedHosts: ['*'] });
    });
  }

  test('must not be given twice, on any address', () => {
    assert.throws(() => check(['localhost', 'localhost'], '0.0.0.0'), { code: 'invalid_request' });
  });

  test('is checked before CORS and before the key, at every path', async (t) => {
    const origin = 'http://evil.example';
    const service = await startScriptedService(t, { CORS_ORIGINS: origin });
    const send = async (head: string) =>
      (await rawConnection(t, service.url, `${head}Connection: close\r\n\r\n`)).closed;
    for (const [method, path] of [
      ['GET', '/health'],
      ['GET', '/jobs'],
      ['POST', '/v1/chat/completions'],
      ['OPTIONS', '/v1/chat/completions'],
      ['GET', '/nothing'],
    ] as const) {
      const more = `Origin: ${origin}\r\nAccess-Control-Request-Method: POST\r\n`;
      const evil = await send(`${method} ${path} HTTP/1.1\r\nHost: evil.example\r\n${more}`);
      assert.match(evil, /^HTTP\/1\.1 403 Forbidden\r\n/, path);
      assert.doesNotMatch(evil, /access-control-allow/i);
      assert.match(evil, /ALLOWED_HOSTS/);
      const twice = await send(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n${more}`);
      assert.match(twice, /^HTTP\/1\.1 400 Bad Request\r\n/, path);
    }
    assert.match(await send('GET /health HTTP/1.0\r\n'), /^HTTP\/1\.1 200 OK/);
    const preflight = await send(
      `OPTIONS /jobs HTTP/1.1\r\nHost: localhost\r\nOrigin: ${origin}\r\nAccess-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: x-a, x-\xe9b, y\r\n`,
    );
    assert.match(preflight, /^HTTP\/1\.1 204 .*access-control-allow-headers: x-a, y\r\n/s);
  });

  test('is in the examples of /docs, so that they can be pasted', async (t) => {
    const service = await startScriptedService(t);
    const page = await (await service.get('/docs')).text();
    assert.ok(page.includes(`curl ${service.url}/v1/chat/completions`), page);
    assert.ok(page.includes(`${service.url}/openai/v1<`));
    const link = await fetch(`${service.url}/openapi.json`, {
      headers: { authorization: `Basic ${Buffer.from(`anyone:${testToken}`).toString('base64')}` },
    });
    assert.equal(link.status, 200);
  });
});

test('the head of every answer is ASCII, and its reason phrase is the standard one', async (t) => {
  const service = await startScriptedService(t);
  const text = 'Größe · 数 \u202e';
  const path = `/jobs/${encodeURIComponent(text)}`;
  const requests: [method: string, path: string, body?: string][] = [
    ['GET', path],
    ['GET', `/v1/models/${encodeURIComponent(text)}`],
    ['GET', `/openai/v1/models/\xe9`],
    ['GET', `/nothing/${text}`],
    ['GET', `/jobs?agent=${encodeURIComponent(text)}&cursor=${encodeURIComponent(text)}`],
    ['GET', `/jobs?${encodeURIComponent(text)}=1`],
    ['POST', '/execute', JSON.stringify({ prompt: 'x', [text]: text })],
    ['POST', '/execute', JSON.stringify({ prompt: 'x', agent: text, metadata: { [text]: text } })],
    ['POST', '/v1/chat/completions', JSON.stringify({ messages: [{ role: 'user', content: text }], [text]: text })],
    ['POST', '/v1/chat/completions', JSON.stringify({ messages: [{ role: 'user', content: text }], model: text })],
    ['POST', '/v1/chat/completions', JSON.stringify({ messages: [{ role: text, content: text }] })],
    ['POST', '/v1/chat/completions', text],
  ];
  for (const [method, target, body = ''] of requests) {
    const headers = { authorization: `Bearer ${testToken}`, 'content-type': 'application/json', connection: 'close' };
    const request = rawRequest(method, target, headers, body);
    const answer = Buffer.from(await (await rawConnection(t, service.url, Buffer.from(request))).closed);
    const head = answer.subarray(0, answer.indexOf('\r\n\r\n')).toString();
    assert.match(head, /^[\x20-\x7e\r\n]+$/, `${method} ${target}`);
    const [, status = '', phrase] = /^HTTP\/1\.1 (\d+) (.*)\r\n/.exec(head) ?? [];
    assert.equal(phrase, STATUS_CODES[status], head);
  }
});
