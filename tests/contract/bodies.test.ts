/** The rules for a body, at both APIs; a body that breaks one is a 400 that names the field. */
import assert from 'node:assert/strict';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { brotliCompressSync, constants, createZstdCompress, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { rawConnection, rawRequest } from '../support/raw-http.ts';
import { type ScriptedService, startScriptedService } from '../support/scripted-agent.ts';
import { ask, errorText, testToken } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';
import { requirement } from './requirements.ts';

const apis = ['/v1', '/openai/v1'] as const;

async function refused(service: ScriptedService, body: unknown, says: RegExp): Promise<void> {
  for (const api of apis) {
    const response = await service.chat(api, body);
    const text = await errorText(response);
    assert.equal(response.status, 400, `${JSON.stringify(body)?.slice(0, 200)}: ${text}`);
    assert.match(text, says);
    assert.equal(response.headers.get('x-should-retry'), 'false');
  }
  assert.deepEqual(service.starts(), []);
}

async function served(service: ScriptedService, body: unknown): Promise<void> {
  for (const api of apis) {
    const response = await service.chat(api, body);
    assert.equal(response.status, 200, `${api}: ${await response.text()}`);
  }
}

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
    // A few bytes that ask for a window of 128 MB.
    const window = createZstdCompress({ params: { [constants.ZSTD_c_windowLog]: 27 } });
    window.write(body);
    setImmediate(() => window.end(' '));
    assert.equal((await send(await buffer(window), 'zstd')).status, 400);
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
    assert.match(await errorText(await send('{"messages": 3, ')), /not JSON/);
    assert.match(await errorText(await send('{"messages": 3, "model": "no", "stream": true}')), /messages: must be/);
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
