/** No body keeps the server from answering other clients, and each body gets its answer. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { brotliCompressSync } from 'node:zlib';
import { byName, endlessSchema, intrudingSchemas, list, slowSchemas } from '../support/hostile-schemas.ts';
import { type ServerProcess, startServerProcess } from '../support/server-process.ts';
import { ask, errorText, faultAgent, testToken } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';
import { watchHealth } from '../support/watch-health.ts';

const otherKey = 'another-key';
const megabytes10 = 10 * 1024 * 1024 - 1000;

/** A server in a process of its own: in the process of the test it would block the test too. */
function start(t: TestContext): Promise<ServerProcess> {
  return startServerProcess(t, {
    CLAUDE_BIN: faultAgent('echoes-arguments'),
    API_KEYS: otherKey,
    MAX_CONCURRENT_RUNS: '4',
  });
}

async function send(
  server: ServerProcess,
  path: string,
  body: string | Buffer<ArrayBuffer>,
  headers: Record<string, string> = {},
) {
  const response = await fetch(server.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${testToken}`, ...headers },
    body,
  });
  return { status: response.status, text: await errorText(response) };
}

async function during<T>(server: ServerProcess, work: () => Promise<T>) {
  const health = watchHealth(server.url);
  await waitUntil('the server answers', () => health.count() > 0);
  const result = await work();
  return { result, longest: await health.stop() };
}

const chat = '/openai/v1/chat/completions';
const message = '"messages":[{"role":"user","content":"hi"}]';

function withSchema(schema: object): string {
  return JSON.stringify(ask('hi', { response_format: { type: 'json_schema', json_schema: { name: 'x', schema } } }));
}

function repeated(piece: string): string {
  return piece.repeat(Math.floor(megabytes10 / piece.length));
}

/** Each with its path, and the text of the error. */
function hostileBodies(): Record<string, [path: string, body: string | Buffer<ArrayBuffer>, says: RegExp]> {
  const keys = list(700_000, (at) => `"k${at}":1`).join();
  const call = { id: 'c', function: { name: 'f', arguments: `{${keys}}` } };
  const calls = list(5500, () => [
    { role: 'assistant', function_call: { name: 'f', arguments: '{}' } },
    { role: 'function', name: 'f', content: 'r' },
  ]).flat();
  const deep = `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`;
  const tooMany = /holds \d+ names and values; the limit is 100000/;
  const tooDeep = /is nested \d+ levels deep; the limit is 512/;
  const image = `data:image/png;base64,iVBORw0KGgo${'A'.repeat(4_900_001)}`;
  return {
    'many keys': [chat, `{${message},${keys}}`, tooMany],
    'many keys at /v1': ['/v1/chat/completions', `{${message},${keys}}`, tooMany],
    'many keys of a job': ['/execute', `{"prompt":"hi",${keys}}`, tooMany],
    'many keys in the metadata of a job': ['/execute', `{"prompt":"hi","metadata":{${keys}}}`, tooMany],
    'many equal keys': [chat, `{${message},${repeated('"a":1,')}"b":1}`, tooMany],
    'many keys of prototypes': [chat, `{${message},${repeated('"__proto__":{},"constructor":1,')}"b":1}`, tooMany],
    'many numbers': [chat, `{${message},"x":[${repeated('1,')}1]}`, tooMany],
    'many messages': [chat, `{"messages":[${repeated('{"role":"user","content":"a"},')}1]}`, tooMany],
    'open brackets': [chat, repeated('['), tooDeep],
    'open objects': ['/execute', repeated('{"a":'), tooDeep],
    'deep metadata': [chat, `{${message},"metadata":${deep}}`, tooDeep],
    'deep metadata of a job': ['/execute', `{"prompt":"hi","metadata":${deep}}`, tooDeep],
    'what grows when it is decompressed': [
      chat,
      Buffer.from(brotliCompressSync(`{${message},"x":[${repeated('1,')}1]}`)),
      tooMany,
    ],
    'quotes in a text': [chat, `{"messages":[{"role":"user","content":"${repeated('\\"')}"}],"n":2}`, /n: must be/],
    'white space': [chat, `{"n":2,${message}${repeated(' ')}}`, /n: must be/],
    'a long number': [chat, `{${message},"seed":${repeated('1')}}`, /seed: must be/],
    'many wrong messages': [
      chat,
      `{"messages":[${list(99_000, () => '1').join()}]}`,
      /messages\[0\]: must be an object/,
    ],
    'many wrong tools': [chat, `{${message},"tools":[${list(99_000, () => '1').join()}]}`, /tools\[0\]: must be/],
    'many wrong biases': [
      chat,
      `{${message},"logit_bias":{${list(49_000, (at) => `"${at}":"x"`).join()}}}`,
      /logit_bias\.0/,
    ],
    'unknown fields': [chat, `{"n":2,${message},${list(49_000, (at) => `"k${at}":1`).join()}}`, /n: must be/],
    'many calls of one name': [
      chat,
      JSON.stringify({ messages: [{ role: 'user', content: 'q' }, ...calls], model: 'no' }),
      /unsupported model/,
    ],
    'many keys in the arguments of a call': [
      chat,
      JSON.stringify({
        messages: [
          { role: 'user', content: 'q' },
          { role: 'assistant', tool_calls: [call] },
        ],
        model: 'no',
      }),
      /unsupported model/,
    ],
    images: [
      chat,
      JSON.stringify({
        messages: [{ role: 'user', content: list(2, () => ({ type: 'image_url', image_url: image })) }],
        model: 'no',
      }),
      /unsupported model/,
    ],
  };
}

/** How long an ordinary body of the same size occupies the server, on this machine at this moment. */
async function harmless(server: ServerProcess): Promise<number> {
  const body = JSON.stringify(ask('x'.repeat(megabytes10 - 1000), { n: 2 }));
  const { longest, result } = await during(server, () => send(server, chat, body));
  assert.match(result.text, /n: must be/);
  return longest;
}

/** Without the limits most cases take longer than this on a quiet machine, where 10 MB of text take 30 ms. */
function limitOf(usual: number): number {
  return Math.max(2000, 20 * usual);
}

test('a body that takes long to read delays no other client', { timeout: 600_000 }, async (t) => {
  const server = await start(t);
  await harmless(server);
  for (const [name, [path, body, says]] of Object.entries(hostileBodies())) {
    const usual = await harmless(server);
    const headers: Record<string, string> = typeof body === 'string' ? {} : { 'content-encoding': 'br' };
    const { result, longest } = await during(server, () => send(server, path, body, headers));
    t.diagnostic(`${name}: ${Math.round(longest)} ms without an answer; a harmless body ${Math.round(usual)} ms`);
    assert.equal(result.status, 400, `${name}: ${result.text}`);
    assert.match(result.text, says, name);
    assert.ok(longest < limitOf(usual), `${name}: the server gave no answer for ${Math.round(longest)} ms`);
  }
});

test('a schema that takes long to compile delays no other client', { timeout: 600_000 }, async (t) => {
  const server = await start(t);
  await harmless(server);
  const good = (at: number) => withSchema({ type: 'object', properties: byName(2, () => ({}), `good${at}`) });
  const isTaken = ({ status, text }: { status: number; text: string }) => assert.notEqual(status, 400, text);
  for (const [at, [name, schema]] of Object.entries(slowSchemas()).entries()) {
    const usual = await harmless(server);
    const { longest, result } = await during(server, async () => {
      const hostile = send(server, chat, withSchema(schema));
      isTaken(await send(server, chat, good(at), { authorization: `Bearer ${otherKey}` }));
      return hostile;
    });
    t.diagnostic(`${name}: ${Math.round(longest)} ms without an answer; ${result.text.slice(0, 150)}`);
    if (result.status === 400)
      assert.match(result.text, /json_schema\.schema: (is too complex|is not a valid|holds \d+ names)/);
    assert.ok(longest < limitOf(usual), `${name}: the server gave no answer for ${Math.round(longest)} ms`);
  }
  const many = list(4, (at) => send(server, chat, withSchema(endlessSchema(at))));
  const { longest } = await during(server, async () => {
    for (const at of list(5, (index) => index)) {
      isTaken(await send(server, chat, good(1000 + at), { authorization: `Bearer ${otherKey}` }));
    }
    for (const { status, text } of await Promise.all(many)) {
      assert.equal(status, 400);
      assert.match(text, /schema: is too complex: compiling it takes longer than 2 s, the limit/);
    }
  });
  assert.ok(longest < limitOf(await harmless(server)), `no answer for ${Math.round(longest)} ms`);
});

test('a schema that names the parts of another one does not change that one', { timeout: 600_000 }, async (t) => {
  const server = await start(t);
  for (const [at, schema] of intrudingSchemas().entries()) {
    for (const key of [testToken, otherKey, testToken]) {
      const headers = { authorization: `Bearer ${key}` };
      const intruder = await send(server, chat, withSchema(schema), headers);
      assert.notEqual(intruder.status, 500, JSON.stringify(schema));
      const next = withSchema({ type: 'object', properties: byName(1, () => ({}), `${key} ${at} `) });
      const { status, text } = await send(server, chat, next, headers);
      assert.notEqual(status, 400, `${JSON.stringify(schema)}: ${text}`);
    }
  }
});
