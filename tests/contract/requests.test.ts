/** What both doors take and refuse before anything runs: paths, keys, bodies, and the shape of requests. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { rawConnection, rawRequest } from '../support/raw-http.ts';
import { type ScriptedService, startScriptedService } from '../support/scripted-agent.ts';
import { ask, testToken } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';
import { requirement } from './requirements.ts';

const doors = ['/v1', '/openai/v1'] as const;

/** The text of an error in either dialect. */
async function told(response: Response): Promise<string> {
  const body = (await response.json()) as { error: string | { message: string }; detail?: string };
  return typeof body.error === 'string' ? (body.detail ?? body.error) : body.error.message;
}

async function refused(service: ScriptedService, body: unknown, says: RegExp): Promise<void> {
  for (const door of doors) {
    const response = await service.chat(door, body);
    const text = await told(response);
    assert.equal(response.status, 400, `${JSON.stringify(body)?.slice(0, 200)}: ${text}`);
    assert.match(text, says);
    assert.equal(response.headers.get('x-should-retry'), 'false');
  }
  assert.deepEqual(service.starts(), []);
}

async function served(service: ScriptedService, body: unknown): Promise<void> {
  for (const door of doors) {
    const response = await service.chat(door, body);
    assert.equal(response.status, 200, `${door}: ${await response.text()}`);
  }
}

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

  test(
    requirement(['C-8', 'item-100'], 'a request without the key is answered while its body is still to come'),
    async (t) => {
      const service = await startScriptedService(t);
      const head = rawRequest('POST', '/v1/chat/completions', {
        'content-type': 'application/json',
        'content-length': '1000000',
      });
      const connection = await rawConnection(t, service.url, head);
      await waitUntil('the answer has come', () => connection.text.startsWith('HTTP/1.1 401 '));
    },
  );

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

  test('a browser may show the pages with the key as the password, and nothing else', async (t) => {
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
    assert.match(await told(embeddings), /\/v1\/chat\/completions/);
    assert.match(await told(await service.post('/openai/v1/responses', {})), /chat completions/);
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

describe('a body', () => {
  test(requirement(['C-11', 'item-5', 'item-62']), async (t) => {
    const service = await startScriptedService(t);
    for (const body of ['', '{', 'hello', '"text"', '7', 'null', '[]', '[{}]', '{"messages":', '\u0000', '{"a":1}}']) {
      await refused(service, body, /body|messages/);
    }
  });

  test(requirement('item-11'), async (t) => {
    const service = await startScriptedService(t);
    const body = Buffer.from(JSON.stringify(ask('hi')));
    const send = (bytes: Buffer, encoding: string) =>
      fetch(`${service.url}/v1/chat/completions`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${testToken}`,
          'content-type': 'application/json',
          'content-encoding': encoding,
        },
        body: new Uint8Array(bytes),
      });
    for (const [encoding, compress] of [
      ['gzip', gzipSync],
      ['deflate', deflateSync],
      ['br', brotliCompressSync],
      ['zstd', zstdCompressSync],
      ['identity', (bytes: Buffer) => bytes],
    ] as const) {
      assert.equal((await send(compress(body), encoding)).status, 200, encoding);
    }
    assert.equal((await send(body, 'rot13')).status, 415);
    assert.equal((await send(body, 'gzip')).status, 400);
    assert.equal((await send(gzipSync(body).subarray(0, 30), 'gzip')).status, 400);
    const bomb = gzipSync(Buffer.alloc(11 * 1024 * 1024, 32));
    assert.equal((await send(bomb, 'gzip')).status, 413);
  });

  test(requirement('item-12'), async (t) => {
    const service = await startScriptedService(t);
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'nonsense',
    ]) {
      const response = await service.post('/v1/chat/completions', ask('hi'), { 'content-type': type });
      assert.equal(response.status, 415, type);
      assert.ok('error' in ((await response.json()) as object));
    }
    const response = await service.post('/v1/chat/completions', ask('hi'), {
      'content-type': 'application/json; charset=utf-8',
    });
    assert.equal(response.status, 200);
  });

  test(requirement(['C-24', 'item-13']), async (t) => {
    const service = await startScriptedService(t);
    const response = await service.post('/v1/chat/completions', ask('x'.repeat(10 * 1024 * 1024)));
    assert.equal(response.status, 413);
    assert.ok('error' in ((await response.json()) as object));
    assert.equal((await service.post('/v1/chat/completions', ask('x'.repeat(9 * 1024 * 1024)))).status, 200);

    const small = await startScriptedService(t, { BODY_LIMIT_BYTES: '2000' });
    assert.equal((await small.chat('/v1', ask('x'.repeat(3000)))).status, 413);
    const headers = { authorization: `Bearer ${testToken}`, 'content-type': 'application/json' };
    const announced = rawRequest('POST', '/v1/chat/completions', { ...headers, 'content-length': '5000000000' });
    const early = await rawConnection(t, small.url, announced);
    await waitUntil('the answer has come', () => early.text.startsWith('HTTP/1.1 413 '));
    const chunked = rawRequest('POST', '/v1/chat/completions', { ...headers, 'transfer-encoding': 'chunked' });
    const unannounced = await rawConnection(t, small.url, `${chunked}1000\r\n${'x'.repeat(4096)}\r\n`);
    await waitUntil('the answer has come', () => unannounced.text.startsWith('HTTP/1.1 413 '));
  });

  test(requirement('item-14'), async (t) => {
    const service = await startScriptedService(t, { BODY_LIMIT_BYTES: '2000', MAX_CONCURRENT_RUNS: '1' });
    const send = (body: string, headers: Record<string, string> = {}) =>
      service.post('/v1/chat/completions', body, headers);
    const large = 'x'.repeat(3000);
    assert.equal((await send(large, { authorization: 'Bearer no', 'content-type': 'text/plain' })).status, 401);
    assert.equal((await send(large, { 'content-type': 'text/plain' })).status, 415);
    assert.equal((await send(large)).status, 413);
    assert.match(await told(await send('{"messages": 3, ')), /not JSON/);
    assert.match(await told(await send('{"messages": 3, "model": "no", "stream": true}')), /messages: must be/);
    const wrongModel = await send(JSON.stringify(ask('hi', { model: 'no', stream: true })));
    assert.equal(((await wrongModel.json()) as { error: string }).error, 'unsupported model');
    const wrongStream = await send(JSON.stringify(ask('hi', { stream: true })));
    assert.equal(((await wrongStream.json()) as { error: string }).error, 'streaming not supported');
  });
});

describe('messages', () => {
  test(requirement(['C-10', 'item-6', 'item-20', 'item-10']), async (t) => {
    const service = await startScriptedService(t);
    const user = { role: 'user', content: 'hi' };
    for (const [messages, says] of [
      [undefined, /messages: must be an array/],
      [null, /messages: must be an array/],
      ['hi', /messages: must be an array/],
      [{}, /messages: must be an array/],
      [[], /messages: must not be empty/],
      [[123], /messages\[0\]: must be an object/],
      [[null], /messages\[0\]: must be an object/],
      [[{}], /messages\[0\]\.role/],
      [[{ role: 123 }], /messages\[0\]\.role/],
      [[user, { role: 'system', content: 123 }], /messages\[1\]\.content: must be a string or an array/],
      [[{ role: 'user' }], /messages\[0\]\.content: must be a string or an array/],
      [[{ role: 'user', content: null }], /messages\[0\]\.content/],
      [[{ role: 'system', content: null }, user], /messages\[0\]\.content/],
      [[{ role: 'user', content: [] }], /messages\[0\]\.content: must not be empty/],
      [[{ role: 'user', content: ['hi'] }], /messages\[0\]\.content\[0\]: must be an object/],
      [[{ role: 'user', content: [{ type: 'text' }] }], /messages\[0\]\.content\[0\]\.text: must be a string/],
      [[{ role: 'user', content: '  ' }], /messages: there is no text/],
      [[user, { role: 'tool', content: 'x' }], /messages\[1\]\.tool_call_id/],
      [
        [user, { role: 'assistant', tool_calls: [{ id: 'a', function: { name: 3 } }] }],
        /messages\[1\]\.tool_calls\[0\]\.function/,
      ],
    ] as const) {
      await refused(service, { model: 'haiku', messages }, says);
    }
  });

  test(requirement(['C-12', 'item-8', 'item-9', 'item-25']), async (t) => {
    const service = await startScriptedService(t);
    const nulls = [
      'stop',
      'n',
      'temperature',
      'max_tokens',
      'metadata',
      'stream',
      'tools',
      'tool_choice',
      'response_format',
    ];
    await served(service, {
      ...ask('hi', Object.fromEntries(nulls.map((name) => [name, null]))),
      messages: [{ role: 'user', name: 'ann', content: [{ type: 'text', text: 'hi', cache_control: {} }], whim: 1 }],
      invented: { by: 'a client' },
    });
  });

  test(requirement('item-15'), async (t) => {
    const service = await startScriptedService(t);
    for (const role of ['robot', 'User', '', 'constructor']) {
      await refused(
        service,
        { messages: [{ role, content: 'hi' }] },
        /messages\[0\]\.role: this role is not supported.*function/,
      );
    }
    await served(service, {
      messages: [
        { role: 'system', content: 'a' },
        { role: 'developer', content: 'b' },
        { role: 'user', content: 'c' },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'x', type: 'function', function: { name: 'f', arguments: '{}' } }],
        },
        { role: 'tool', tool_call_id: 'x', content: 'd' },
        { role: 'assistant', content: null, function_call: { name: 'g', arguments: '{}' } },
        { role: 'function', name: 'g', content: 'e' },
      ],
    });
  });

  test(requirement('item-24'), async (t) => {
    const service = await startScriptedService(t);
    for (const type of ['input_audio', 'file', 'video_url', 'input_text']) {
      const messages = [{ role: 'user', content: [{ type: 'text', text: 'x' }, { type }] }];
      await refused(service, { messages }, /messages\[0\]\.content\[1\]\.type: this part type is not supported/);
    }
  });
});
