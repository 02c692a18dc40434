/** How many bytes of bodies are read at once, and which requests are refused before their body is read. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as nextLoopIteration } from 'node:timers/promises';
import { BodyRoom } from '../../src/http/body-room.ts';
import { execute, promptFor, reaches } from '../support/http-jobs.ts';
import { rawConnection, rawRequest } from '../support/raw-http.ts';
import { activeRuns, askFor, makeGate, startScriptedService } from '../support/scripted-agent.ts';
import { startServerProcess } from '../support/server-process.ts';
import { ask, errorText, faultAgent, type TestService, testToken } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

const never = new AbortController().signal;
const large = 9_500_000;
const headers = { authorization: `Bearer ${testToken}`, 'content-type': 'application/json' };

describe('the room for bodies', () => {
  /** Takes room, and notes when it got it. */
  function taker(room: BodyRoom, order: string[]) {
    return async (name: string, owner: string, bytes: number) => {
      const release = await room.take(owner, bytes, never);
      order.push(name);
      return release;
    };
  }

  test('lets bodies in by order while they fit, and the next when one is done', async () => {
    const room = new BodyRoom({ total: 100, perOwner: 1000 });
    const order: string[] = [];
    const take = taker(room, order);
    const first = await take('first', 'a', 60);
    const second = take('second', 'a', 60);
    const third = take('third', 'a', 30);
    await nextLoopIteration();
    assert.deepEqual(order, ['first']);
    await first();
    await first();
    const releases = await Promise.all([second, third]);
    assert.deepEqual([order, room.taken], [['first', 'second', 'third'], 90]);
    for (const release of releases) await release();
    assert.equal(room.taken, 0);
    await (await take('over the limit', 'a', 500))();
    assert.equal(room.taken, 0);
  });

  test('leaves room for another owner', async () => {
    const room = new BodyRoom({ total: 100, perOwner: 50 });
    const order: string[] = [];
    const take = taker(room, order);
    const slow = await take('a1', 'a', 40);
    const waits = take('a2', 'a', 40);
    const other = await take('b1', 'b', 40);
    assert.deepEqual(order, ['a1', 'b1']);
    await slow();
    for (const release of [await waits, other]) await release();
    assert.equal(room.taken, 0);
  });

  test('refuses after the longest wait, and forgets clients that have gone', async () => {
    const room = new BodyRoom({ total: 100, perOwner: 100, waitMs: 10 });
    const release = await room.take('a', 100, never);
    await assert.rejects(room.take('b', 100, never), { code: 'too_many_bodies' });
    const gone = new AbortController();
    const waiting = new BodyRoom({ total: 1, perOwner: 1 });
    const held = await waiting.take('a', 1, never);
    const leaves = waiting.take('b', 1, gone.signal);
    gone.abort();
    await assert.rejects(leaves, { code: 'client_gone' });
    await assert.rejects(room.take('b', 60, gone.signal), { code: 'client_gone' }, 'it had gone before');
    await held();
    await release();
    assert.deepEqual([room.taken, waiting.taken], [0, 0]);
  });
});

/** Sends the head of a request with a large body. Returns the answer that comes without the body. */
async function answerToHead(t: TestContext, service: TestService, path: string, more = {}): Promise<string> {
  const head = rawRequest('POST', path, { ...headers, 'content-length': String(large), ...more });
  const connection = await rawConnection(t, service.url, head);
  return waitUntil('the answer has come', () => (connection.text.includes('\r\n\r\n{') ? connection.text : undefined));
}

test('a large body is not read when its request is refused whatever it says', async (t) => {
  const settings = { MAX_CONCURRENT_RUNS: '1', MAX_QUEUED_RUNS: '0', MAX_WAITING_JOBS: '1' };
  const service = await startScriptedService(t, settings);
  const running = await execute(service, { prompt: promptFor({ hang: true }) });
  await reaches(service, running, 'running');
  await execute(service, { prompt: 'waits' });
  for (const [path, says] of [
    ['/v1/chat/completions', /503 .*x-should-retry: true.*retry-after: \d+.*agent is busy/s],
    ['/openai/v1/chat/completions', /503 .*x-should-retry: true.*every slot is taken/s],
    ['/execute', /429 .*x-should-retry: true.*1 of 1 waiting jobs/s],
  ] as const) {
    assert.match(await answerToHead(t, service, path), says);
  }
  assert.match(await answerToHead(t, service, '/v1/chat/completions', { 'content-type': 'text/plain' }), / 415 /);
  assert.match(await answerToHead(t, service, '/v1/chat/completions', { authorization: 'Bearer no' }), / 401 /);
  assert.match(await answerToHead(t, service, '/v1/nothing'), / 404 /);
  assert.match(await answerToHead(t, service, '/v1/chat/completions', { 'content-length': '99000000' }), / 413 /);
  // The order of the checks stays as it is for small bodies.
  assert.equal((await service.chat('/v1', { messages: [] })).status, 400);
  const repeat = await service.post('/execute', 'x'.repeat(100_000), { 'idempotency-key': 'k' });
  assert.equal(repeat.status, 400);
  // The connection can be used again.
  const body = JSON.stringify(ask('x'.repeat(large)));
  for (let at = 0; at < 3; at += 1) assert.equal((await service.chat('/v1', body)).status, 503);
});

test('a large body is read when it may repeat a request whose run goes on', async (t) => {
  const service = await startScriptedService(t, { MAX_CONCURRENT_RUNS: '1' });
  const gate = await makeGate(t);
  const body = askFor({ say: ['a', 'b'], gate: gate.file }, { user: 'x'.repeat(200_000) });
  // With the key the repeat gets the answer also if it comes after the end of the run.
  const key = { 'idempotency-key': 'k' };
  const first = service.chat('/v1', body, key);
  await waitUntil('it runs', async () => (await activeRuns(service)) === 1);
  const second = service.chat('/v1', body, key);
  const longer = await service.chat('/v1', { ...body, seed: 1 });
  assert.match(await errorText(longer), /agent is busy/);
  gate.open();
  for (const response of await Promise.all([first, second])) assert.equal(response.status, 200);
  assert.match((await second).headers.get('x-repeat') ?? '', /run chatcmpl-/);
});

async function residentMb(pid: number): Promise<{ now: number; peak: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024;
  return { now: field('VmRSS'), peak: field('VmHWM') };
}

test('forty bodies of 9.5 MB at once take little memory, whether they are refused early or late', {
  skip: process.platform !== 'linux' && 'the memory is read from /proc',
}, async (t) => {
  for (const [name, settings, more, status] of [
    ['refused early', { MAX_QUEUED_RUNS: '0' }, {}, 503],
    ['refused late', { MAX_CONCURRENT_RUNS: '8' }, { n: 2 }, 400],
  ] as const) {
    const server = await startServerProcess(t, {
      CLAUDE_BIN: faultAgent('hangs'),
      SANDBOX: 'off',
      MAX_CONCURRENT_RUNS: '1',
      ...settings,
    });
    if (status === 503) {
      const job = (await (await server.post('/execute', { prompt: 'x' })).json()) as { job_id: string };
      await waitUntil('the slot is taken', async () => {
        const record = await fetch(`${server.url}/jobs/${job.job_id}`, { headers });
        return ((await record.json()) as { status: string }).status === 'running';
      });
    }
    const before = await residentMb(server.child.pid ?? 0);
    const body = Buffer.from(JSON.stringify({ ...ask('x'.repeat(large)), ...more }));
    const answers = await Promise.all(
      Array.from({ length: 40 }, () =>
        fetch(`${server.url}/openai/v1/chat/completions`, { method: 'POST', headers, body }),
      ),
    );
    assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([status]), name);
    const { peak } = await residentMb(server.child.pid ?? 0);
    t.diagnostic(`${name}: ${Math.round(before.now)} MB before, at most ${Math.round(peak)} MB`);
    // Without a bound it was 450 MB more.
    assert.ok(peak - before.now < 300, `${name}: ${peak - before.now} MB more`);
  }
});
