/** No request starts an agent twice: a repeat joins the run in flight, or gets its outcome. The starts of agents are counted. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { requirement } from '../contract/requirements.ts';
import {
  activeRuns,
  askFor,
  makeGate,
  readEvents,
  readUntil,
  type ScriptedService,
  startScriptedService,
} from '../support/scripted-agent.ts';
import { ask } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

const apis = ['/v1', '/openai/v1'] as const;

const runOf = (response: Response) => response.headers.get('x-run-id');
const isRepeat = (response: Response) => response.headers.has('x-repeat');

async function textOf(response: Response): Promise<string> {
  const events = (await readEvents(response)) as { choices: { delta: { content?: string } }[] }[];
  return events.map((event) => event.choices?.[0]?.delta.content ?? '').join('');
}

const idle = async (service: ScriptedService) => (await activeRuns(service)) === 0;

/** How many POST requests were answered, or left by their client. */
async function answeredPosts(service: ScriptedService): Promise<number> {
  const text = await (await service.get('/metrics')).text();
  const counts = [...text.matchAll(/^http_requests_total\{method="POST",status="\w+"\} (\d+)$/gm)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

describe('a repeated request', () => {
  test(requirement(['item-67', 'item-64'], 'a failure is answered again, and no agent is started'), async (t) => {
    const service = await startScriptedService(t);
    for (const [at, api] of apis.entries()) {
      const body = askFor({ exit: 3, stderr: 'boom' });
      const answers: Response[] = [];
      for (let attempt = 0; attempt < 7; attempt += 1) answers.push(await service.chat(api, body));
      assert.equal(service.starts().length, at + 1);
      const bodies = await Promise.all(answers.map((answer) => answer.text()));
      assert.equal(new Set(bodies).size, 1);
      assert.ok(answers.every(({ status, headers }) => status === 503 && headers.get('x-should-retry') === 'false'));
      assert.deepEqual(answers.map(isRepeat), [false, true, true, true, true, true, true]);
      assert.match(answers[1]?.headers.get('x-repeat') ?? '', /a new Idempotency-Key starts another run/);
    }
  });

  test(requirement('item-64', 'a failure in a stream is answered again in a stream'), async (t) => {
    const service = await startScriptedService(t);
    const body = askFor({ say: ['half'], exit: 3, stderr: 'boom' }, { stream: true });
    const texts: string[] = [];
    for (let attempt = 0; attempt < 4; attempt += 1) texts.push(await (await service.chat('/openai/v1', body)).text());
    assert.equal(service.starts().length, 1);
    assert.ok(texts.every((text) => /half.*execution_failed/s.test(text) && text === texts[0]));
  });

  test(requirement('item-67', 'a failure is forgotten after its time'), async (t) => {
    const service = await startScriptedService(t, { REPEAT_WINDOW_SECONDS: '0.3' });
    const body = askFor({ exit: 3, stderr: 'boom' });
    await service.chat('/v1', body);
    await waitUntil('another run starts', async () => {
      await service.chat('/v1', body);
      return service.starts().length === 2;
    });
  });

  test(requirement('item-67'), async (t) => {
    const service = await startScriptedService(t, { MAX_CONCURRENT_RUNS: '1' });
    const gate = await makeGate(t);
    const body = askFor({ say: ['one ', 'two ', 'three ', 'four'], gate: gate.file }, { stream: true });
    const first = await service.chat('/openai/v1', body);
    const early = await service.chat('/openai/v1', body);
    await readUntil(first.clone(), (text) => text.includes('three'));
    const late = await service.chat('/openai/v1', body);
    const joiners = [early, late];
    gate.open();
    const texts = await Promise.all([first, ...joiners].map(textOf));
    assert.deepEqual(
      texts,
      Array.from({ length: 3 }, () => 'one two three four'),
    );
    assert.equal(new Set([first, ...joiners].map(runOf)).size, 1);
    assert.deepEqual(joiners.map(isRepeat), [true, true]);
    assert.equal(service.starts().length, 1);

    const wholeGate = await makeGate(t);
    const whole = askFor({ say: ['slow'], gate: wholeGate.file });
    const sent = [whole, whole, whole].map((same) => service.chat('/v1', same));
    await waitUntil('the agent works', () => service.starts().length === 2);
    wholeGate.open();
    const answers = await Promise.all(sent);
    assert.equal(new Set(answers.map(runOf)).size, 1);
    assert.ok(answers.every(({ status }) => status === 200));
    assert.equal(service.starts().length, 2);
  });

  test('a question that is sent again after its answer arrived is a new run', async (t) => {
    const service = await startScriptedService(t);
    for (const api of apis) {
      const answers: Response[] = [];
      for (const _ of [1, 2]) {
        const answer = await service.chat(api, ask('again?'));
        await answer.text();
        answers.push(answer);
      }
      assert.equal(new Set(answers.map(runOf)).size, 2);
      assert.ok(!answers.some(isRepeat));
    }
  });

  test(
    requirement('item-67', 'a client that says that it retries gets the answer that it may have missed'),
    async (t) => {
      const service = await startScriptedService(t);
      const first = await service.chat('/openai/v1', ask('hi'), { 'x-stainless-retry-count': '0' });
      const retry = await service.chat('/openai/v1', ask('hi'), { 'x-stainless-retry-count': '1' });
      assert.equal(runOf(retry), runOf(first));
      assert.deepEqual(await retry.json(), await first.json());
      assert.equal(service.starts().length, 1);
    },
  );

  test('a request with another body, API or header is another request', async (t) => {
    const service = await startScriptedService(t);
    const body = askFor({ exit: 3, stderr: 'boom' });
    for (const answer of [
      () => service.chat('/v1', body),
      () => service.chat('/openai/v1', body),
      () => service.chat('/openai/v1', body, { 'x-agent-events': 'tools' }),
      () => service.chat('/openai/v1', { ...body, stream: true }),
      () => service.chat('/v1', JSON.stringify(body).replace('Please', 'please')),
    ]) {
      assert.match(await (await answer()).text(), /boom/);
    }
    assert.equal(service.starts().length, 5);
  });
});

describe('a client that has gone', () => {
  test(
    requirement(['item-67', 'item-74'], 'keeps its run for CLIENT_GRACE_SECONDS, and its repeat joins that run'),
    async (t) => {
      const service = await startScriptedService(t, { CLIENT_GRACE_SECONDS: '60' });
      for (const [at, stream] of [true, false].entries()) {
        const gate = await makeGate(t);
        const body = askFor({ say: ['one ', 'two ', 'three'], gate: gate.file }, { stream });
        const client = new AbortController();
        const first = service.post('/openai/v1/chat/completions', body, {}, client.signal);
        first.catch(() => {});
        await waitUntil('the agent works', () => service.starts().length === at + 1);
        const before = await answeredPosts(service);
        client.abort();
        await waitUntil(
          'the server sees that the client has gone',
          async () => (await answeredPosts(service)) > before,
        );
        const repeated = service.chat('/openai/v1', body);
        gate.open();
        const second = await repeated;
        assert.match(await second.text(), stream ? /one .*two .*three.*\[DONE\]/s : /one two three/);
        assert.equal(service.starts().length, at + 1);
      }
    },
  );

  test(requirement('item-67', 'gets the answer of the run that ended after it left'), async (t) => {
    const service = await startScriptedService(t, { CLIENT_GRACE_SECONDS: '60' });
    const gate = await makeGate(t);
    const body = askFor({ say: ['done ', 'meanwhile'], gate: gate.file });
    const client = new AbortController();
    const first = service.post('/openai/v1/chat/completions', body, {}, client.signal);
    first.catch(() => {});
    await waitUntil('the agent works', () => service.starts().length === 1);
    const before = await answeredPosts(service);
    client.abort();
    await waitUntil('the server sees that the client has gone', async () => (await answeredPosts(service)) > before);
    gate.open();
    await waitUntil('the run has ended', () => idle(service));
    const second = await service.chat('/openai/v1', body);
    assert.match(await second.text(), /done meanwhile/);
    assert.equal(service.starts().length, 1);
    const third = await service.chat('/openai/v1', body);
    assert.ok(!isRepeat(third), 'the answer has arrived before');
  });

  test('starts another run with its repeat when its run was stopped', async (t) => {
    const service = await startScriptedService(t, { CLIENT_GRACE_SECONDS: '0' });
    const gate = await makeGate(t);
    const body = askFor({ say: ['x'], gate: gate.file });
    const client = new AbortController();
    const first = service.post('/openai/v1/chat/completions', body, {}, client.signal);
    first.catch(() => {});
    await waitUntil('the agent works', () => service.starts().length === 1);
    client.abort();
    await waitUntil('the run has ended', () => idle(service));
    gate.open();
    assert.equal((await service.chat('/openai/v1', body)).status, 200);
    assert.equal(service.starts().length, 2);
  });
});

describe('an Idempotency-Key', () => {
  test(requirement('item-68'), async (t) => {
    const service = await startScriptedService(t);
    for (const [at, api] of apis.entries()) {
      const send = (key: string, body: object = ask('hi')) => service.chat(api, body, { 'idempotency-key': key });
      const first = await send('k1');
      const again = await send('k1');
      assert.equal(runOf(again), runOf(first));
      assert.deepEqual(await again.json(), await first.json());
      assert.ok(isRepeat(again));
      const other = await send('k2');
      assert.notEqual(runOf(other), runOf(first));
      assert.equal(service.starts().length, 3 * at + 2);

      const failing = askFor({ exit: 3, stderr: 'boom' });
      await send('k3', failing);
      assert.ok(isRepeat(await send('k3', failing)));
      assert.equal(service.starts().length, 3 * at + 3);
    }
  });

  test(requirement('item-68', 'with another body is 400 naming the header'), async (t) => {
    const service = await startScriptedService(t);
    await service.chat('/v1', ask('hi'), { 'idempotency-key': 'k' });
    const clash = await service.chat('/v1', ask('something else'), { 'idempotency-key': 'k' });
    assert.equal(clash.status, 400);
    assert.match(await clash.text(), /Idempotency-Key/);
    const long = await service.chat('/v1', ask('hi'), { 'idempotency-key': 'k'.repeat(256) });
    assert.equal(long.status, 400);
    assert.equal(service.starts().length, 1);
  });

  test(requirement('item-68', 'a new one starts another run of what failed'), async (t) => {
    const service = await startScriptedService(t);
    const body = askFor({ exit: 3, stderr: 'boom' });
    for (const key of [undefined, 'a', 'b']) {
      await service.chat('/v1', body, key === undefined ? {} : { 'idempotency-key': key });
    }
    assert.equal(service.starts().length, 3);
  });
});

test(
  requirement('item-67', 'a request that was refused before an agent started is served when it is repeated'),
  async (t) => {
    const service = await startScriptedService(t, { MAX_CONCURRENT_RUNS: '1', CLIENT_GRACE_SECONDS: '0' });
    const client = new AbortController();
    const busy = service.post('/v1/chat/completions', askFor({ hang: true }), {}, client.signal);
    busy.catch(() => {});
    await waitUntil('the slot is taken', () => service.starts().length === 1);
    assert.equal((await service.chat('/v1', ask('hi'))).status, 503);
    client.abort();
    await waitUntil('the same request is served', async () => (await service.chat('/v1', ask('hi'))).status === 200);
  },
);
