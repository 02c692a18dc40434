/** Jobs over HTTP: handed in, told of, listed, cancelled; on the whole server with a scripted agent. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { requirement } from '../contract/requirements.ts';
import { ended, execute, jobOf, promptFor, reaches } from '../support/http-jobs.ts';
import { startScriptedService } from '../support/scripted-agent.ts';
import { waitUntil } from '../support/wait-until.ts';

const hanging = { prompt: promptFor({ hang: true }) };

/** A server on which one job runs, so that further ones wait. */
async function startBusyService(t: Parameters<typeof startScriptedService>[0], settings: Record<string, string> = {}) {
  const service = await startScriptedService(t, { MAX_CONCURRENT_RUNS: '1', ...settings });
  const running = await execute(service, hanging);
  await reaches(service, running, 'running');
  return { service, running };
}

describe('handing in', () => {
  test(requirement(['J-1', 'C-22']), async (t) => {
    const { service } = await startBusyService(t);
    for (const position of [1, 2]) {
      const response = await service.post('/execute', { prompt: 'Count the files' });
      const body = (await response.json()) as Record<string, unknown>;
      assert.equal(response.status, 202);
      assert.match(String(body['job_id']), /^[0-9a-f-]{36}$/);
      assert.deepEqual([body['status'], body['position']], ['queued', position]);
      assert.equal(response.headers.get('location'), `/jobs/${body['job_id']}`);
      assert.ok(response.headers.get('x-request-id'));
      assert.equal((await jobOf(service, String(body['job_id']))).position, position);
    }
  });

  test(requirement('J-3'), async (t) => {
    const service = await startScriptedService(t);
    const wrong: [field: string, body: unknown][] = [
      ['prompt', {}],
      ['prompt', { prompt: '' }],
      ['prompt', { prompt: ' \n ' }],
      ['prompt', { prompt: 'a\0b' }],
      ['prompt', { prompt: ['hi'] }],
      ['agent', { prompt: 'hi', agent: '--dangerously-skip-permissions' }],
      ['agent', { prompt: 'hi', agent: 'a\0b' }],
      ['model', { prompt: 'hi', model: 5 }],
      ['effort', { prompt: 'hi', effort: 'heroic' }],
      ['max_budget_usd', { prompt: 'hi', max_budget_usd: 0 }],
      ['timeout_seconds', { prompt: 'hi', timeout_seconds: -1 }],
      ['timeout_seconds', { prompt: 'hi', timeout_seconds: 1e9 }],
      ['timeout_seconds', '{"prompt":"hi","timeout_seconds":1e999}'],
      ['stall_seconds', { prompt: 'hi', stall_seconds: 'long' }],
      ['wait_seconds', { prompt: 'hi', wait_seconds: -1 }],
      ['metadata', { prompt: 'hi', metadata: ['a'] }],
      ['metadata', { prompt: 'hi', metadata: { text: 'x'.repeat(70_000) } }],
      ['callback_url', { prompt: 'hi', callback_url: 'not a URL' }],
      ['callback_url', { prompt: 'hi', callback_url: 'http://127.0.0.1/hook' }],
      ['priority', { prompt: 'hi', priority: 10 }],
      ['priority', { prompt: 'hi', priority: 1.5 }],
      ['on_interrupt', { prompt: 'hi', on_interrupt: 'forget' }],
      ['deliver', { prompt: 'hi', deliver: 'mail' }],
    ];
    for (const [field, body] of wrong) {
      const response = await service.post('/execute', body);
      const { error, detail } = (await response.json()) as { error: string; detail: string };
      assert.deepEqual([response.status, error], [400, 'invalid request'], JSON.stringify(body).slice(0, 100));
      assert.match(detail, new RegExp(`: ${field}: `));
      assert.equal(response.headers.get('x-should-retry'), 'false');
    }
    const keyed = await service.post('/execute', { prompt: 'hi' }, { 'idempotency-key': 'k'.repeat(256) });
    assert.equal(keyed.status, 400);
    assert.match(await keyed.text(), /Idempotency-Key/);
    for (const body of ['[]', '"hi"', 'null', '{']) assert.equal((await service.post('/execute', body)).status, 400);
    assert.deepEqual(await (await service.get('/jobs')).json(), { jobs: [], next_cursor: null });
    assert.deepEqual(service.starts(), []);
  });

  test(requirement('J-4'), async (t) => {
    const service = await startScriptedService(t, { MODEL_ALIASES: 'gpt-4o=opus' });
    const unknown = await service.post('/execute', { prompt: 'hi', model: 'gpt-5' });
    assert.equal(unknown.status, 400);
    assert.deepEqual(await unknown.json(), {
      error: 'unsupported model',
      supported: ['haiku', 'sonnet', 'opus', 'gpt-4o'],
    });
    for (const [asked, model] of [
      ['gpt-4o', 'opus'],
      ['haiku', 'haiku'],
      [undefined, 'sonnet'],
    ]) {
      const job = await ended(service, await execute(service, { prompt: 'hi', model: asked }));
      const args = service.starts().at(-1) ?? [];
      assert.deepEqual([job.model, args[args.indexOf('--model') + 1]], [model, model]);
    }
  });

  test(requirement('J-5'), async (t) => {
    const service = await startScriptedService(t);
    const metadata = '{"ticket":7,"deep":{"list":[1,null,"\\u0000"]},"__proto__":{"x":1}}';
    const body = `{"prompt":"hi","metadata":${metadata},"unheard_of":{},"agent":null,"model":null,"effort":null,
      "max_budget_usd":null,"timeout_seconds":null,"stall_seconds":null,"wait_seconds":null,"callback_url":null,
      "priority":null,"on_interrupt":null,"deliver":null}`;
    const response = await service.post('/execute', body);
    assert.equal(response.status, 202);
    const { job_id } = (await response.json()) as { job_id: string };
    const told = await (await service.get(`/jobs/${job_id}`)).text();
    assert.ok(told.includes(`"metadata":${metadata}`), told);
  });

  test(requirement('J-6'), async (t) => {
    const { service } = await startBusyService(t, { MAX_WAITING_JOBS: '1' });
    const waiting = await execute(service, { prompt: 'hi' });
    const refused = await service.post('/execute', { prompt: 'hi' });
    assert.equal(refused.status, 429);
    const { error, detail } = (await refused.json()) as { error: string; detail: string };
    assert.equal(error, 'queue full');
    assert.match(detail, /1 of 1/);
    assert.equal(refused.headers.get('x-should-retry'), 'true');
    const retryAfter = Number(refused.headers.get('retry-after'));
    assert.ok(Number.isInteger(retryAfter) && retryAfter >= 1 && retryAfter <= 60);
    const { jobs } = (await (await service.get('/jobs?status=queued')).json()) as { jobs: { job_id: string }[] };
    assert.deepEqual(
      jobs.map(({ job_id }) => job_id),
      [waiting],
    );
  });

  test(requirement('J-7'), async (t) => {
    const service = await startScriptedService(t);
    const key = { 'idempotency-key': 'build 7' };
    const first = await service.post('/execute', { prompt: 'hi' }, key);
    const { job_id: id } = (await first.json()) as { job_id: string };
    await ended(service, id);
    const again = await service.post('/execute', { prompt: 'hi' }, key);
    const repeated = (await again.json()) as { job_id: string; status: string };
    assert.deepEqual([again.status, repeated.job_id, repeated.status], [202, id, 'completed']);
    assert.match(again.headers.get('x-repeat') ?? '', new RegExp(id));
    assert.equal(first.headers.get('x-repeat'), null);
    assert.equal(service.starts().length, 1);
    const other = await service.post('/execute', { prompt: 'something else' }, key);
    assert.equal(other.status, 409);
    assert.equal(((await other.json()) as { error: string }).error, 'idempotency conflict');
  });
});

describe('looking', () => {
  test(requirement('J-2'), async (t) => {
    const service = await startScriptedService(t);
    const wish = { prompt: promptFor({ say: ['Par', 'is.'], stderr: 'a warning' }), agent: 'mender', model: 'haiku' };
    const limits = { max_budget_usd: 1.5, timeout_seconds: 60, stall_seconds: 30, wait_seconds: 600 };
    const rest = { metadata: { ticket: 7 }, priority: 3, on_interrupt: 'requeue', effort: 'low' };
    const before = Date.now();
    const id = await execute(service, { ...wish, ...limits, ...rest });
    const { created_at, started_at, finished_at, session_id, last_event_id, stderr, ...told } = await ended(
      service,
      id,
    );
    assert.deepEqual(told, {
      ...wish,
      ...limits,
      ...rest,
      job_id: id,
      status: 'completed',
      cancel_requested_at: null,
      exit_code: 0,
      output: 'Paris.',
      result: 'Paris.',
      usage: { input_tokens: 10, cache_read_tokens: 200, cache_write_tokens: 3000, output_tokens: 7 },
      cost_usd: 0.25,
      num_turns: 1,
      models: {
        scripted: {
          input_tokens: 10,
          cache_read_tokens: 200,
          cache_write_tokens: 3000,
          output_tokens: 7,
          cost_usd: 0.25,
        },
      },
      error: null,
      attempt: 1,
      deliver: null,
      callback_url: null,
      position: null,
      expected_wait_seconds: null,
      workspace: { revision: null, files: [], patch_omitted: null, delivery: null, sync: { state: 'off' } },
      callback: null,
    });
    const times = [created_at, started_at, finished_at].map((time) => {
      assert.match(String(time), /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
      return Date.parse(String(time));
    });
    assert.deepEqual(
      times,
      times.toSorted((one, other) => one - other),
    );
    assert.ok((times[0] ?? 0) >= before);
    assert.match(String(session_id), /^session-/);
    assert.ok(last_event_id > 4);
    assert.equal(typeof stderr, 'string');
    const args = service.starts().at(-1)?.join(' ') ?? '';
    assert.match(args, /--agent mender/);
    assert.match(args, /--max-budget-usd 1\.5/);
  });

  test(requirement('J-2', 'a failed job tells why, and what it had written'), async (t) => {
    const service = await startScriptedService(t);
    const script = { say: ['I begin. '], exit: 3, stderr: 'boom' };
    const job = await ended(service, await execute(service, { prompt: promptFor(script) }));
    assert.deepEqual([job.status, job.exit_code, job.output, job.result], ['failed', 3, 'I begin. ', null]);
    assert.deepEqual(job.error, { code: 'agent_failed', message: 'boom' });
    assert.match(job.stderr, /boom/);
  });

  test(requirement('J-8'), async (t) => {
    const { service, running } = await startBusyService(t);
    const ids: string[] = [];
    for (const agent of ['one', 'two', 'one']) ids.unshift(await execute(service, { prompt: `Ask ${agent}`, agent }));
    type Page = { jobs: Record<string, unknown>[]; next_cursor: string | null };
    const list = async (query: string) => (await (await service.get(`/jobs${query}`)).json()) as Page;
    const idsOf = ({ jobs }: Page) => jobs.map((job) => job['job_id']);

    const all = await list('');
    assert.deepEqual([idsOf(all), all.next_cursor], [[...ids, running], null]);
    assert.ok(!('output' in (all.jobs[0] ?? {})) && all.jobs[0]?.['prompt'] === 'Ask one');
    assert.deepEqual(idsOf(await list('?status=running')), [running]);
    assert.deepEqual(idsOf(await list('?agent=one&status=queued')), [ids[0], ids[2]]);
    const first = await list('?limit=3');
    assert.deepEqual(idsOf(first), ids);
    const second = await list(`?limit=3&cursor=${first.next_cursor}`);
    assert.deepEqual([idsOf(second), second.next_cursor], [[running], null]);
    const wrong = { status: 'gone', limit: '0', cursor: 'x', agent: '%00' };
    for (const [name, value] of Object.entries(wrong)) {
      const response = await service.get(`/jobs?${name}=${value}`);
      assert.equal(response.status, 400);
      assert.match(await response.text(), new RegExp(name));
    }
  });

  test(requirement('J-9'), async (t) => {
    const service = await startScriptedService(t);
    for (const id of ['01a1fd83-6a61-7000-bb30-6d0a7093386d', 'x', '%00', '..%2fhealth']) {
      for (const path of ['', '/events', '/diff']) {
        const response = await service.get(`/jobs/${id}${path}`);
        assert.equal(response.status, 404);
        assert.equal(((await response.json()) as { error: string }).error, 'not found');
      }
      assert.equal((await service.delete(`/jobs/${id}`)).status, 404);
    }
  });

  test(requirement('J-23'), async (t) => {
    const service = await startScriptedService(t);
    const { paths } = (await (await service.get('/openapi.json')).json()) as {
      paths: Record<string, Record<string, { responses: object }>>;
    };
    const listed = ['/execute', '/jobs', '/jobs/{id}', '/jobs/{id}/events', '/jobs/{id}/diff'];
    assert.deepEqual(
      Object.keys(paths).filter((path) => /jobs|execute/.test(path)),
      listed,
    );
    assert.ok(
      ['202', '400', '401', '409', '429'].every((status) => status in (paths['/execute']?.['post']?.responses ?? {})),
    );
    assert.ok(paths['/jobs/{id}']?.['delete']);
  });
});

describe('ending', () => {
  test(requirement('J-14'), async (t) => {
    const { service, running } = await startBusyService(t);
    const waiting = await execute(service, { prompt: 'hi' });
    const first = await service.delete(`/jobs/${waiting}`);
    assert.equal(first.status, 200);
    assert.deepEqual(await first.json(), { job_id: waiting, status: 'cancelled', did: 'never_started' });

    const second = await service.delete(`/jobs/${running}`, { 'content-type': 'application/json' });
    assert.deepEqual(await second.json(), { job_id: running, status: 'running', did: 'stopping' });
    const job = await ended(service, running);
    assert.deepEqual([job.status, job.error?.code], ['cancelled', 'cancelled']);
    const took = Date.parse(String(job.finished_at)) - Date.parse(String(job.cancel_requested_at));
    assert.ok(took < 5000, `${took} ms`);
    assert.deepEqual([(await jobOf(service, waiting)).attempt, job.attempt], [0, 1]);

    const third = await service.delete(`/jobs/${running}`);
    assert.equal(third.status, 409);
    assert.deepEqual(await third.json(), {
      error: 'job finished',
      detail: 'Cannot cancel the job: it has ended as cancelled',
    });
  });

  test(requirement('J-15'), async (t) => {
    const { service, running } = await startBusyService(t);
    const waited = await execute(service, { prompt: 'hi', wait_seconds: 0.1 });
    const late = await ended(service, waited);
    assert.deepEqual([late.status, late.error?.code, late.attempt], ['timeout', 'wait_timeout', 0]);
    await service.delete(`/jobs/${running}`);
    const run = await ended(service, await execute(service, { ...hanging, timeout_seconds: 0.5 }));
    assert.deepEqual([run.status, run.error?.code], ['timeout', 'agent_timeout']);
    const stall = await ended(service, await execute(service, { ...hanging, stall_seconds: 0.5 }));
    assert.deepEqual([stall.status, stall.error?.code], ['timeout', 'agent_stalled']);
  });
});

describe('keys', () => {
  test(requirement('J-17'), async (t) => {
    const service = await startScriptedService(t, { API_KEYS: 'ada,bob' });
    const as = (key: string) => ({ authorization: `Bearer ${key}` });
    const id = await execute(service, hanging, as('ada'));
    const routes: [method: string, path: string][] = [
      ['GET', `/jobs/${id}`],
      ['GET', `/jobs/${id}/events`],
      ['GET', `/jobs/${id}/diff`],
      ['DELETE', `/jobs/${id}`],
    ];
    const status = async (method: string, path: string, headers: Record<string, string>) => {
      const response = await fetch(service.url + path, { method, headers });
      await response.body?.cancel();
      return response.status;
    };
    for (const [method, path] of [...routes, ['GET', '/jobs'], ['POST', '/execute']] as [string, string][]) {
      assert.equal(await status(method, path, as('wrong')), 401);
      assert.equal(await status(method, path, {}), 401);
    }
    for (const [method, path] of routes) assert.equal(await status(method, path, as('bob')), 404);
    const count = async (headers?: Record<string, string>) =>
      ((await (await service.get('/jobs', headers)).json()) as { jobs: object[] }).jobs.length;
    assert.deepEqual([await count(as('ada')), await count(as('bob')), await count()], [1, 0, 1]);
    // The first key is the operator's.
    assert.equal((await jobOf(service, id)).status, 'running');
    assert.equal(await status('DELETE', `/jobs/${id}`, as('ada')), 200);
  });
});

test(requirement('J-18'), async (t) => {
  const received: { body: string; signature: unknown }[] = [];
  const hook = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    received.push({ body: Buffer.concat(chunks).toString(), signature: request.headers['webhook-signature'] });
    response.end();
  });
  await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
  t.after(() => hook.close());
  const service = await startScriptedService(t, { CALLBACK_ALLOW_PRIVATE: 'on' });
  const callback_url = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/hook`;
  const id = await execute(service, { prompt: promptFor({ say: ['Paris.'] }), callback_url });
  const told = await waitUntil('the callback is recorded', async () => {
    const job = await jobOf(service, id);
    return job.callback?.state === 'delivered' ? job : undefined;
  });
  assert.deepEqual([told.callback?.attempts, told.callback?.status, received.length], [1, 200, 1]);
  const sent = JSON.parse(received[0]?.body ?? '{}') as typeof told;
  assert.deepEqual({ ...sent, callback: null }, { ...told, callback: null });
  assert.match(String(received[0]?.signature), /^v1,/);
});
