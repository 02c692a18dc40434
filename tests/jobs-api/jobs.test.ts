/** Jobs over HTTP on the whole server with a scripted agent: they are submitted, limited, cancelled, and called back. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { requirement } from '../contract/requirements.ts';
import { ended, execute, jobOf, promptFor, startBusyService } from '../support/http-jobs.ts';
import { startScriptedService } from '../support/scripted-agent.ts';
import { waitUntil } from '../support/wait-until.ts';

const hanging = { prompt: promptFor({ hang: true }) };

describe('submitting', () => {
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
    const body = `{"prompt":"hi","metadata":${metadata},"agent":null,"model":null,"effort":null,
      "max_budget_usd":null,"timeout_seconds":null,"stall_seconds":null,"wait_seconds":null,"callback_url":null,
      "priority":null,"on_interrupt":null,"deliver":null}`;
    const response = await service.post('/execute', body);
    assert.equal(response.status, 202);
    const { job_id } = (await response.json()) as { job_id: string };
    const record = await (await service.get(`/jobs/${job_id}`)).text();
    assert.ok(record.includes(`"metadata":${metadata}`), record);
    assert.equal((await service.post('/execute', '{"prompt":"hi","unheard_of":null}')).status, 400);
    for (const value of [`"${'x'.repeat(65_536)}"`, '12345678901234567890']) {
      const hidden = await service.post('/execute', `{"prompt":"hi","metadata":{"__proto__":{"a":${value}}}}`);
      assert.equal(hidden.status, 400);
      assert.match(await hidden.text(), /metadata/);
    }
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

describe('ending', () => {
  test(requirement('J-14'), async (t) => {
    const { service, running } = await startBusyService(t);
    const waiting = await execute(service, { prompt: 'hi' });
    const first = await service.delete(`/jobs/${waiting}`);
    assert.equal(first.status, 200);
    assert.deepEqual(await first.json(), { job_id: waiting, status: 'cancelled', result: 'never_started' });

    const second = await service.delete(`/jobs/${running}`, { 'content-type': 'application/json' });
    assert.deepEqual(await second.json(), { job_id: running, status: 'running', result: 'stopping' });
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
  const record = await waitUntil('the callback is recorded', async () => {
    const job = await jobOf(service, id);
    return job.callback?.state === 'delivered' ? job : undefined;
  });
  assert.deepEqual([record.callback?.attempts, record.callback?.status, received.length], [1, 200, 1]);
  const sent = JSON.parse(received[0]?.body ?? '{}') as typeof record;
  assert.deepEqual({ ...sent, callback: null }, { ...record, callback: null });
  assert.match(String(received[0]?.signature), /^v1,/);
});
