/** Records, lists and pages of jobs over HTTP. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { requirement } from '../contract/requirements.ts';
import { ended, execute, promptFor, startBusyService } from '../support/http-jobs.ts';
import { startScriptedService } from '../support/scripted-agent.ts';

describe('a record', () => {
  test(requirement('J-2'), async (t) => {
    const service = await startScriptedService(t);
    const wanted = { prompt: promptFor({ say: ['Par', 'is.'], stderr: 'a warning' }), agent: 'fixer', model: 'haiku' };
    const limits = { max_budget_usd: 1.5, timeout_seconds: 60, stall_seconds: 30, wait_seconds: 600 };
    const rest = { metadata: { ticket: 7 }, priority: 3, on_interrupt: 'requeue', effort: 'low' };
    const before = Date.now();
    const id = await execute(service, { ...wanted, ...limits, ...rest });
    const { created_at, started_at, finished_at, session_id, last_event_id, stderr, ...record } = await ended(
      service,
      id,
    );
    assert.deepEqual(record, {
      ...wanted,
      ...limits,
      ...rest,
      job_id: id,
      status: 'completed',
      cancel_requested_at: null,
      exit_code: 0,
      output: 'Paris.',
      result: 'Paris.',
      denials: [],
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
      waiting_for: null,
      attempt: 1,
      deliver: null,
      callback_url: null,
      position: null,
      expected_wait_seconds: null,
      workspace: {
        revision: null,
        files: [],
        omitted: [],
        patch_omitted: null,
        delivery: null,
        sync: { state: 'off' },
      },
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
    assert.match(args, /--agent fixer/);
    assert.match(args, /--max-budget-usd 1\.5/);
  });

  test(requirement('J-2', 'the record of a failed job has the reason and the output so far'), async (t) => {
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
