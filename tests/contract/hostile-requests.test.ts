/** No request keeps the server from answering others: whole requests, slow ones, pipelined ones and half-open ones. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { bytesOf, harmlessBody, hostileRequests } from '../support/hostile-requests.ts';
import { rawConnection } from '../support/raw-http.ts';
import { type Delay, startWatchedServer, type WatchedServer } from '../support/server-delay.ts';
import { faultAgent, testToken } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

const otherKey = 'another-key';

function start(t: TestContext): Promise<WatchedServer> {
  return startWatchedServer(t, {
    CLAUDE_BIN: faultAgent('hangs'),
    SANDBOX: 'off',
    API_KEYS: otherKey,
    // One job takes a slot, and the others wait.
    MAX_CONCURRENT_RUNS: '3',
    CHAT_RESERVED_SLOTS: '2',
    CORS_ORIGINS: 'http://page.example',
  });
}

/** Sends the bytes, and returns the beginning of the answer. */
async function answerTo(t: TestContext, server: WatchedServer, bytes: Buffer): Promise<string> {
  const connection = await rawConnection(t, server.url, bytes);
  const text = await waitUntil(
    'there is an answer',
    () => (connection.text.includes('\r\n\r\n') ? connection.text : undefined),
    60_000,
  );
  connection.socket.destroy();
  return text;
}

/** The delay of an ordinary body of the largest size, on this machine at this moment. */
async function harmless(t: TestContext, server: WatchedServer): Promise<Delay> {
  const bytes = bytesOf({ name: '', method: 'POST', path: '/openai/v1/chat/completions', body: harmlessBody });
  const { result, ...delay } = await server.during(() => answerTo(t, server, bytes));
  assert.match(result, /^HTTP\/1\.1 400 [\s\S]*unsupported model/);
  return delay;
}

/** Of three measurements the smallest counts: the others may show what else the machine did. */
async function leastOf3(measure: () => Promise<Delay>): Promise<Delay> {
  const all = [await measure(), await measure(), await measure()];
  return { loop: Math.min(...all.map(({ loop }) => loop)), health: Math.min(...all.map(({ health }) => health)) };
}

/**
 * Asserts that the work delays the server at most a few times as long as a harmless body, which takes 40 ms on a quiet
 * machine. Measures both again if it does not, since the machine may have been busy.
 */
async function assertNoDelay(
  t: TestContext,
  server: WatchedServer,
  name: string,
  measure: () => Promise<Delay>,
): Promise<void> {
  for (let round = 1; ; round += 1) {
    const delay = await leastOf3(measure);
    const shown = `${name}: ${Math.round(delay.loop)} ms blocked, ${Math.round(delay.health)} ms without an answer`;
    if (round === 1) t.diagnostic(shown);
    if (Math.max(delay.loop, delay.health) < 150) return;
    const usual = await leastOf3(() => harmless(t, server));
    if (Math.max(delay.loop, delay.health) < 5 * usual.loop) return;
    assert.ok(round < 5, `${shown}; a harmless body ${Math.round(usual.loop)} ms`);
  }
}

test('no hostile request blocks the event loop much longer than a harmless one', { timeout: 900_000 }, async (t) => {
  const server = await start(t);
  const usual = await leastOf3(() => harmless(t, server));
  t.diagnostic(`a harmless body of 10 MB: ${Math.round(usual.loop)} ms`);
  const requests = hostileRequests();
  assert.ok(requests.length >= 60);
  for (const request of requests) {
    const bytes = bytesOf(request);
    await assertNoDelay(t, server, request.name, async () => {
      const { result: answer, ...delay } = await server.during(() => answerTo(t, server, bytes));
      assert.match(answer, /^HTTP\/1\.1 (2|4)\d\d /, request.name);
      return delay;
    });
  }
});

test('large answers do not block the event loop either', { timeout: 900_000 }, async (t) => {
  const server = await start(t);
  const metadata = { a: 'x'.repeat(65_000) };
  for (let at = 0; at < 210; at += 1) await server.post('/execute', { prompt: 'x', metadata });
  const { job_id: id } = (await (await server.post('/execute', { prompt: 'x'.repeat(9_000_000) })).json()) as {
    job_id: string;
  };
  const headers = { authorization: `Bearer ${testToken}` };
  for (const path of ['/jobs?limit=200', '/jobs', `/jobs/${id}`, '/openapi.json', '/metrics', '/docs']) {
    await assertNoDelay(t, server, path, async () => {
      const { result, ...delay } = await server.during(async () =>
        (await fetch(server.url + path, { headers })).text(),
      );
      assert.ok(result.length > 1000);
      return delay;
    });
  }
});

test('slow, half-open and pipelined connections delay nobody', { timeout: 900_000 }, async (t) => {
  const server = await start(t);
  const head = (path: string, more: string) =>
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${testToken}\r\nContent-Type: application/json\r\n${more}`;
  const beginnings: Record<string, string> = {
    'a head without an end': 'GET /jobs HTTP/1.1\r\nHost: localhost\r\nX-Slow: ',
    'nothing at all': '',
    'a body that does not come': head('/execute', 'Content-Length: 9000000\r\n\r\n'),
    'a body that comes in part': `${head('/openai/v1/chat/completions', 'Content-Length: 9000000\r\n\r\n')}{"messages":[`,
    'chunks that do not end': `${head('/v1/chat/completions', 'Transfer-Encoding: chunked\r\n\r\n')}8\r\n{"messag\r\n`,
  };
  for (const [name, text] of Object.entries(beginnings)) {
    const { result: sockets, ...delay } = await server.during(async () => {
      const opened = [];
      for (let at = 0; at < 200; at += 1) opened.push((await rawConnection(t, server.url, text)).socket);
      for (let round = 0; round < 5; round += 1) for (const socket of opened) socket.write('x');
      return opened;
    });
    t.diagnostic(`200 connections with ${name}: ${Math.round(delay.loop)} ms blocked`);
    // A large body of another client is still read, and one of the same key.
    for (const path of ['/openai/v1/chat/completions']) {
      const bytes = bytesOf({ name, method: 'POST', path, body: harmlessBody });
      const small = bytesOf({ name, method: 'POST', path, body: '{"messages":[]}' });
      assert.match(await answerTo(t, server, small), /^HTTP\/1\.1 400 /);
      const other = Buffer.from(
        bytes.toString('latin1').replace(`Bearer ${testToken}`, `Bearer ${otherKey}`),
        'latin1',
      );
      assert.match(await answerTo(t, server, other), /^HTTP\/1\.1 400 /);
    }
    for (const socket of sockets) socket.resetAndDestroy();
  }
  const one = `GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n`;
  const refused = `${head('/execute', 'Content-Length: 2\r\n\r\n')}{}`;
  for (const [name, request] of [
    ['health', one],
    ['refused jobs', refused],
    ['lists of jobs', `${head('/jobs', '').replace('POST', 'GET')}\r\n`],
  ] as const) {
    const count = 5000;
    await assertNoDelay(t, server, `${count} pipelined requests for ${name}`, async () => {
      const { result: _, ...delay } = await server.during(async () => {
        // The server closes a connection on which too many requests wait for their answers.
        const connection = await rawConnection(t, server.url, request.repeat(count));
        let answers = 0;
        connection.socket.on('data', (chunk: Buffer) => {
          answers += chunk.toString('latin1').split('HTTP/1.1 ').length - 1;
        });
        await waitUntil('all are answered', () => answers >= count - 1 || connection.socket.destroyed, 120_000);
        connection.socket.destroy();
      });
      return delay;
    });
  }
  const some = await rawConnection(t, server.url, one.repeat(80));
  await waitUntil('all are answered', () => some.text.split('HTTP/1.1 200 ').length === 81);
});
