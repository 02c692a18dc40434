/** The events of jobs over HTTP: from the first, as they happen, once each, for every reader. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { requirement } from '../contract/requirements.ts';
import { ended, eventsOf, execute, framesIn, jobOf, promptFor, reaches } from '../support/http-jobs.ts';
import { rawConnection, rawRequest } from '../support/raw-http.ts';
import { makeGate, readUntil, startScriptedService } from '../support/scripted-agent.ts';
import { type TestService, testToken } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

const chatty = promptFor({
  before: 'Let me look. ',
  tool: { name: 'Bash', input: { command: 'ls' }, result: 'a b\u2028c' },
  say: ['There ', 'are ', '3.'],
  pauseMs: 60,
});

describe('the events of a job', () => {
  test(requirement('J-10'), async (t) => {
    const service = await startScriptedService(t);
    const id = await execute(service, { prompt: chatty });
    const response = await service.get(`/jobs/${id}/events`);
    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
    assert.match(response.headers.get('cache-control') ?? '', /no-cache/);
    assert.equal(response.headers.get('x-accel-buffering'), 'no');
    const events = framesIn(await response.text());
    assert.deepEqual(
      events.map((event) => event.id),
      events.map((_, at) => at + 1),
    );
    assert.ok(events.every(({ event, data }) => event === data.type && !Number.isNaN(Date.parse(data.at))));
    const facts = events.map(({ data }) => {
      switch (data.type) {
        case 'state':
          return data.status;
        case 'text':
          return data.text;
        case 'tool_call':
          return [data.name, data.input];
        case 'tool_result':
          return [data.is_error, data.text];
        default:
          return data.type;
      }
    });
    const beforeText = ['queued', 'running', 'workspace', 'started', 'Let me look. '];
    const tool = [
      ['Bash', { command: 'ls' }],
      [false, 'a b\u2028c'],
    ];
    assert.deepEqual(facts.slice(0, 7), [...beforeText, ...tool]);
    assert.deepEqual([facts.slice(7, -1).join(''), facts.at(-1)], ['There are 3.', 'completed']);
    const last = events.at(-1)?.data;
    assert.ok(last?.type === 'state' && last.cost_usd === 0.25 && last.num_turns === 1);
    assert.equal((await jobOf(service, id)).last_event_id, events.length);
  });

  test(requirement('J-11'), async (t) => {
    const service = await startScriptedService(t);
    const id = await execute(service, { prompt: chatty });
    const pieces: string[] = [];
    // A reader that loses its connection after every event.
    for (let last = 0; ; ) {
      const response = await service.get(`/jobs/${id}/events?after=0`, { 'last-event-id': String(last) });
      const text = await readUntil(response, (sofar) => framesIn(sofar).length > 0);
      const [first] = framesIn(text);
      assert.ok(first);
      pieces.push(JSON.stringify(first));
      last = first.id;
      if (first.data.type === 'state' && first.data.status === 'completed') break;
    }
    const whole = await eventsOf(service, id);
    assert.deepEqual(
      pieces,
      whole.map((event) => JSON.stringify(event)),
    );
    assert.deepEqual(await eventsOf(service, id, { query: '?after=3' }), whole.slice(3));
    assert.deepEqual(
      await eventsOf(service, id, { query: '?after=0', headers: { 'last-event-id': '3' } }),
      whole.slice(3),
    );
    // A browser reconnects after every end, unless the answer is 204.
    const late = await service.get(`/jobs/${id}/events`, { 'last-event-id': String(whole.length) });
    assert.equal(late.status, 204);
    for (const wrong of ['?after=x', '?after=-1', '?after=1&after=2']) {
      assert.equal((await service.get(`/jobs/${id}/events${wrong}`)).status, 400);
    }
    const head = await fetch(`${service.url}/jobs/${id}/events`, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${testToken}` },
    });
    assert.equal(head.status, 405);
  });

  test(requirement('J-12'), async (t) => {
    const service = await startScriptedService(t, { STREAM_KEEP_ALIVE_SECONDS: '0.1' });
    const gate = await makeGate(t);
    const id = await execute(service, { prompt: promptFor({ say: ['one', 'two'], gate: gate.file }) });
    const response = await service.get(`/jobs/${id}/events`);
    let statusAtText = '';
    const text = await readUntil(response, async (sofar) => {
      if (statusAtText === '' && sofar.includes('"one"')) statusAtText = (await jobOf(service, id)).status;
      if (statusAtText !== '' && sofar.includes(': keep-alive')) gate.open();
      return false;
    });
    assert.equal(statusAtText, 'running');
    assert.match(text, /\n\n: keep-alive\n\n/);
    assert.ok(framesIn(text).length > 5);
  });

  test('end when the server closes', async (t) => {
    const service = await startScriptedService(t);
    const id = await execute(service, { prompt: promptFor({ hang: true }) });
    const response = await service.get(`/jobs/${id}/events`);
    const reading = response.text();
    await reaches(service, id, 'running');
    await service.close(0);
    assert.ok(framesIn(await reading).length >= 2);
  });
});

describe('a reader that stops reading', () => {
  /** Returns a function that says whether a GET other than its own has been answered or disconnected since. */
  async function answeredElsewhere(service: TestService): Promise<() => Promise<boolean>> {
    const count = async () => {
      const text = await (await service.get('/metrics')).text();
      return Number(/http_requests_total\{method="GET",status="200"\} (\d+)/.exec(text)?.[1] ?? 0);
    };
    const before = await count();
    let asked = 1;
    return async () => (await count()) > before + asked++;
  }

  test(requirement('J-13'), async (t) => {
    const service = await startScriptedService(t, {
      SLOW_READER_SECONDS: '0.3',
      MAX_JOB_EVENT_BYTES: '100000000',
      STREAM_KEEP_ALIVE_SECONDS: '3600',
    });
    const id = await execute(service, { prompt: promptFor({ say: ['x'.repeat(200_000)], times: 60 }) });
    const path = `/jobs/${id}/events`;
    const reader = await rawConnection(t, service.url, '');
    reader.socket.pause();
    const isCutOff = await answeredElsewhere(service);
    reader.socket.write(rawRequest('GET', path, { authorization: `Bearer ${testToken}` }));
    await waitUntil('the reader is disconnected', isCutOff);
    reader.socket.resume();
    const had = framesIn(await reader.closed);
    const job = await ended(service, id);
    assert.equal(job.status, 'completed');
    assert.ok(had.length < job.last_event_id);
    const rest = await eventsOf(service, id, { headers: { 'last-event-id': String(had.at(-1)?.id ?? 0) } });
    const length = [...had, ...rest].reduce((sum, { data }) => sum + (data.type === 'text' ? data.text.length : 0), 0);
    assert.equal(length, 60 * 200_000);
    assert.equal(rest.at(-1)?.id, job.last_event_id);
  });
});
