/** Requests that are made to keep the server from answering others: their bytes, for each endpoint. */
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { list } from './hostile-schemas.ts';
import { testToken } from './service.ts';

export type HostileRequest = {
  /** What is hostile in it. */
  name: string;
  method: string;
  path: string;
  headers?: Record<string, string>;
  body?: string | Buffer<ArrayBuffer>;
};

const megabytes10 = 10 * 1024 * 1024 - 1000;
const chat = '/openai/v1/chat/completions';
const native = '/v1/chat/completions';
const hello = '{"role":"user","content":"hi"}';
/** Refused at the end of all checks, so that no agent starts. */
const refused = '"model":"no"';

/** As many pieces as fit into a body. */
function repeated(piece: string, spare = 0): string {
  return piece.repeat(Math.floor((megabytes10 - spare) / piece.length));
}

/** A body of the largest size with nothing hostile in it. */
export const harmlessBody = `{"messages":[{"role":"user","content":"${'x'.repeat(megabytes10 - 200)}"}],${refused}}`;

function user(content: unknown): string {
  return `{"messages":[{"role":"user","content":${JSON.stringify(content)}}],${refused}}`;
}

function bodies(): [
  name: string,
  path: string,
  body: string | Buffer<ArrayBuffer>,
  headers?: Record<string, string>,
][] {
  const png = `data:image/png;base64,iVBORw0KGgo${'A'.repeat(4_900_001)}`;
  const small = 'data:image/png;base64,iVBORw0KGgoAAAA=';
  const calls = (input: string, count: number) => [
    { role: 'user', content: 'q' },
    ...list(count, (at) => ({
      role: 'assistant',
      tool_calls: [{ id: `c${at}`, function: { name: 'f', arguments: input } }],
    })),
  ];
  const history = (messages: unknown[]) => `{"messages":${JSON.stringify(messages)},${refused}}`;
  const nested = (open: string, close: string, depth: number) => `${open.repeat(depth)}1${close.repeat(depth)}`;
  const many = (count: number, at: (index: number) => string) => list(count, at).join();
  return [
    ['700,000 keys', chat, `{"messages":[${hello}],${many(700_000, (at) => `"k${at}":1`)}}`],
    ['700,000 keys in metadata', '/execute', `{"prompt":"x","metadata":{${many(700_000, (at) => `"k${at}":1`)}}}`],
    ['10 MB of [', chat, repeated('[')],
    ['10 MB of {"a":', '/execute', repeated('{"a":')],
    ['metadata 510 levels deep', '/execute', `{"prompt":"x","metadata":${nested('{"a":', '}', 509)}}`],
    ['an answer format 510 levels deep', chat, `{"messages":[${hello}],"response_format":${nested('[', ']', 509)}}`],
    [
      '99,000 keys, the most that are parsed',
      chat,
      `{"messages":[${hello}],${refused},${many(49_000, (at) => `"k${at}":1`)}}`,
    ],
    ['duplicate keys', chat, `{"messages":[${hello}],${refused},${repeated(`"${'a'.repeat(200)}":1,`, 200)}"b":1}`],
    [
      'keys of prototypes',
      chat,
      `{"messages":[${hello}],${refused},${many(20_000, () => '"__proto__":{},"constructor":1')}}`,
    ],
    ['__proto__ in metadata', '/execute', `{"prompt":"x","metadata":{"__proto__":{"a":"${repeated('x', 100)}"}}}`],
    ['one number of 10 MB', chat, `{"messages":[${hello}],"seed":${repeated('7', 100)}}`],
    ['99,000 long numbers', chat, `{"messages":[${hello}],${refused},"x":[${many(99_000, () => '1'.repeat(90))}]}`],
    ['a text of escapes', chat, `{"messages":[{"role":"user","content":"${repeated('\\u0041', 200)}"}],${refused}}`],
    ['a text of quotes', chat, `{"messages":[{"role":"user","content":"${repeated('\\"', 200)}"}],${refused}}`],
    [
      'a text of lone surrogates',
      chat,
      `{"messages":[{"role":"user","content":"${repeated('\\ud800', 200)}"}],${refused}}`,
    ],
    ['a text of white space', chat, `{"messages":[{"role":"user","content":"${repeated(' ', 200)}"}],${refused}}`],
    [
      'bytes that are not UTF-8',
      chat,
      Buffer.concat([
        Buffer.from('{"messages":[{"role":"user","content":"'),
        Buffer.alloc(megabytes10 - 200, 0xff),
        Buffer.from(`"}],${refused}}`),
      ]),
    ],
    ['a byte order mark and white space', chat, `\ufeff${repeated(' ', 300)}{"messages":[${hello}],${refused}}`],
    [
      'white space between all tokens',
      '/execute',
      `{"prompt":"x",${' \n'.repeat(2_000_000)}"model":${' \t'.repeat(2_000_000)}"no"}`,
    ],
    ['a gzip bomb', chat, gzipSync(Buffer.alloc(500_000_000, 32)), { 'content-encoding': 'gzip' }],
    [
      'a brotli bomb of small values',
      native,
      brotliCompressSync(`{"messages":[${hello}],"x":[${repeated('1,', 200)}1]}`),
      { 'content-encoding': 'br' },
    ],
    ['a zstd bomb', '/execute', zstdCompressSync(Buffer.alloc(500_000_000, 32)), { 'content-encoding': 'zstd' }],
    ['33,000 messages', chat, `{"messages":[${many(19_000, () => hello)}],${refused}}`],
    [
      'messages that alternate',
      native,
      history(list(19_000, (at) => ({ role: at % 2 ? 'assistant' : 'user', content: 'x' }))),
    ],
    [
      '24,000 system messages',
      chat,
      `{"messages":[${many(19_000, () => '{"role":"system","content":"s"}')}],${refused}}`,
    ],
    ['19,000 parts', chat, user(list(19_000, () => ({ type: 'text', text: 'x' })))],
    ['13,000 images', chat, user(list(13_000, () => ({ type: 'image_url', image_url: { url: small } })))],
    ['two images of 5 MB', chat, user(list(2, () => ({ type: 'image_url', image_url: png })))],
    [
      'an image of white space',
      chat,
      user([{ type: 'image_url', image_url: `data:image/png;base64,${repeated(' \n', 300).slice(0, 6_900_000)}` }]),
    ],
    [
      'an image with line breaks everywhere',
      chat,
      user([{ type: 'image_url', image_url: `data:image/png;base64,${repeated('A\n', 300).slice(0, 6_900_000)}` }]),
    ],
    ['an image that is wrong at its end', chat, user([{ type: 'image_url', image_url: `${png}!` }])],
    [
      'a data URL with many parameters',
      chat,
      user([{ type: 'image_url', image_url: `data:image/png${repeated(';a=b', 300)},x` }]),
    ],
    ['49,000 stop texts', chat, `{"messages":[${hello}],"stop":[${many(99_000, () => '"x"')}]}`],
    ['a stop text of 10 MB', chat, `{"messages":[${hello}],"stop":"${repeated('a', 300)}"}`],
    [
      'tool arguments that are JSON of 700,000 keys',
      chat,
      history(calls(`{${many(500_000, (at) => `"k${at}":1`)}}`, 1)),
    ],
    ['tool arguments that are nested deep', chat, history(calls(nested('{"a":', '}', 200_000), 1))],
    ['tool arguments in 10,000 calls', chat, history(calls('{"a":[1,2,3,4,5,6,7,8]}', 9000))],
    [
      'tool calls with the same id',
      chat,
      history(
        list(6000, (at) =>
          at % 2
            ? { role: 'tool', tool_call_id: 'c', content: 'r' }
            : { role: 'assistant', tool_calls: [{ id: 'c', function: { name: 'f', arguments: '{}' } }] },
        ),
      ),
    ],
    ['biases', chat, `{"messages":[${hello}],"logit_bias":{${many(49_000, (at) => `"${at}":"x"`)}}}`],
    ['tools that are wrong', chat, `{"messages":[${hello}],"tools":[${many(99_000, () => '1')}]}`],
    ['roles that are wrong', chat, `{"messages":[${many(30_000, () => '{"role":"x"}')}]}`],
    [
      'a schema of 64 KB that is compiled',
      chat,
      `{"messages":[${hello}],${refused},"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","patternProperties":{${many(1500, (at) => `"p${at}":false`)}}}}}}`,
    ],
    [
      'a schema of 10 MB',
      chat,
      `{"messages":[${hello}],${refused},"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","description":"${repeated('x', 400)}"}}}}`,
    ],
    [
      'a schema with patterns that backtrack',
      chat,
      `{"messages":[${hello}],${refused},"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","patternProperties":{"^(([a-z])+.)+[A-Z]([a-z])+$":{"pattern":"(a+)+$","format":"regex"}}}}}}`,
    ],
    ['a prompt of 10 MB', '/execute', `{"prompt":"${repeated('x', 200)}","model":"no"}`],
    ['a prompt of 10 MB that is stored', '/execute', `{"prompt":"${repeated('x', 200)}"}`],
    ['a prompt of white space', '/execute', `{"prompt":"${repeated(' ', 200)}"}`],
    ['metadata of 10 MB', '/execute', `{"prompt":"x","metadata":{"a":"${repeated('x', 200)}"}}`],
    ['a callback of 10 MB', '/execute', `{"prompt":"x","callback_url":"http://${repeated('a.', 200)}"}`],
    ['the name of an agent of 10 MB', '/execute', `{"prompt":"x","agent":"${repeated('a', 200)}"}`],
    ['the name of a model of 10 MB', '/execute', `{"prompt":"x","model":"${repeated('a', 200)}"}`],
    ['the name of a field of 10 MB', '/execute', `{"prompt":"x","${repeated('a', 200)}":1}`],
    ['unknown fields', '/execute', `{"prompt":"x",${many(49_000, (at) => `"k${at}":1`)}}`],
    [
      'the name of a user of 10 MB',
      chat,
      `{"messages":[${hello}],${refused},"user":"${repeated('\\ud83d\\ude00', 200)}"}`,
    ],
  ];
}

export function hostileRequests(): HostileRequest[] {
  const withBody = bodies().map(
    ([name, path, body, headers]): HostileRequest => ({
      name,
      method: 'POST',
      path,
      body,
      ...(headers && { headers }),
    }),
  );
  const parameters = list(2500, (at) => `a${at}=1`).join('&');
  return [
    ...withBody,
    { name: 'thousands of query parameters', method: 'GET', path: `/jobs?${parameters.slice(0, 14_000)}` },
    { name: 'thousands of equal query parameters', method: 'GET', path: `/jobs?${'limit=1&'.repeat(1700)}` },
    {
      name: 'thousands of query parameters at a model',
      method: 'GET',
      path: `/v1/models?${parameters.slice(0, 14_000)}`,
    },
    { name: 'a long query of escapes', method: 'GET', path: `/jobs?agent=${'%41'.repeat(4500)}` },
    { name: 'a long path', method: 'GET', path: `/jobs/${'a'.repeat(14_000)}` },
    { name: 'a path of slashes', method: 'GET', path: '/'.repeat(14_000) },
    { name: 'a path of escapes', method: 'GET', path: `/v1/models/${'%2f'.repeat(4500)}` },
    {
      name: 'an authorization of spaces',
      method: 'GET',
      path: '/jobs',
      headers: { authorization: `Bearer ${' x'.repeat(6500)}` },
    },
    {
      name: 'hundreds of headers',
      method: 'GET',
      path: '/jobs',
      headers: Object.fromEntries(list(900, (at) => [`x-${at}`, '1'])),
    },
    {
      name: 'a long list of agent events',
      method: 'POST',
      path: chat,
      body: user('x'),
      headers: { 'x-agent-events': ', '.repeat(6500) },
    },
    {
      name: 'a long list of CORS headers',
      method: 'OPTIONS',
      path: chat,
      headers: {
        origin: 'http://page.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'x,'.repeat(6500),
      },
    },
  ];
}

/** The head and the body as bytes. */
export function bytesOf({ method, path, headers, body = '' }: HostileRequest): Buffer {
  const bytes = Buffer.from(body);
  const all = {
    host: 'localhost',
    authorization: `Bearer ${testToken}`,
    'content-type': 'application/json',
    ...headers,
  };
  const length = method === 'POST' ? { 'content-length': String(bytes.length) } : {};
  const lines = Object.entries({ ...all, ...length }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), bytes]);
}
