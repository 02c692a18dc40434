/** The limits of one key: the budget of a job, the number of waiting jobs, the priority. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { loadConfig } from '../../src/config/config.ts';
import { requirement } from '../contract/requirements.ts';
import { execute, promptFor, startBusyService } from '../support/http-jobs.ts';
import { runJobsCommand } from '../support/jobs-command.ts';
import { postgresMissing, startPostgres } from '../support/postgres.ts';
import { startScriptedService } from '../support/scripted-agent.ts';
import { errorText, startTestService, type TestService } from '../support/service.ts';

const as = (key: string) => ({ authorization: `Bearer ${key}` });

describe('the budget of a job', () => {
  test(requirement('J-25'), async (t) => {
    const { service } = await startBusyService(t, { MAX_BUDGET_USD: '20' });
    const wrong = [
      '1e308',
      '20.01',
      '0',
      '-1',
      '1e-300',
      '0.001',
      '1e999',
      '-1e999',
      'NaN',
      '"5"',
      '"20"',
      'true',
      '[5]',
    ];
    for (const budget of wrong) {
      const response = await service.post('/execute', `{"prompt": "hi", "max_budget_usd": ${budget}}`);
      assert.equal(response.status, 400, budget);
      // NaN is not JSON.
      if (budget !== 'NaN') assert.match(await errorText(response), /: max_budget_usd: /, budget);
    }
    const high = await service.post('/execute', { prompt: 'hi', max_budget_usd: 1e308 });
    assert.equal(
      await errorText(high),
      'Cannot read the request: max_budget_usd: it is 1e+308 and may be at most 20, as MAX_BUDGET_USD says',
    );
    for (const budget of [0.01, 20]) await execute(service, { prompt: 'hi', max_budget_usd: budget });
  });

  test('above the limit is an error of the command line that names the limit', async (t) => {
    const service = await startScriptedService(t);
    const run = await runJobsCommand(t, ['run', 'hi', '--budget', '100.5', '--url', service.url]);
    assert.deepEqual(
      [run.status, run.stdout, run.stderr],
      [2, '', 'Cannot read the request: max_budget_usd: it is 100.5 and may be at most 100, as MAX_BUDGET_USD says\n'],
    );
  });

  for (const name of ['CHAT_BUDGET_USD', 'JOB_BUDGET_USD']) {
    test(`${name} above MAX_BUDGET_USD is an error of the settings`, () => {
      assert.throws(() => loadConfig([], { [name]: '100.5' }), {
        message: `Cannot use ${name}=100.5: it is above MAX_BUDGET_USD=100`,
      });
      loadConfig([], { [name]: '100.5', MAX_BUDGET_USD: '100.5' });
    });
  }
});

describe('waiting jobs', () => {
  const submit = (service: TestService, key: string) => service.post('/execute', { prompt: 'hi' }, as(key));

  test(requirement('J-26'), async (t) => {
    const bounds = { MAX_WAITING_JOBS: '6', MAX_WAITING_JOBS_PER_KEY: '3', RESERVED_WAITING_JOBS: '2' };
    const { service } = await startBusyService(t, { ...bounds, API_KEYS: 'ada,bob' });
    const many = async (key: string) => {
      const responses = await Promise.all(Array.from({ length: 8 }, () => submit(service, key)));
      return responses.filter(({ status }) => status === 202).length;
    };
    assert.equal(await many('ada'), 3);
    const full = await submit(service, 'ada');
    assert.equal(full.status, 429);
    assert.match(full.headers.get('retry-after') ?? '', /^\d+$/);
    assert.match(await errorText(full), /3 of 3 waiting jobs of this key, the limit of MAX_WAITING_JOBS_PER_KEY$/);
    assert.equal(await many('bob'), 1);
    assert.match(
      await errorText(await submit(service, 'bob')),
      /the limit of 4 waiting jobs is reached \(MAX_WAITING_JOBS less RESERVED_WAITING_JOBS\)$/,
    );
    assert.equal(await many(service.token), 2);
    assert.match(
      await errorText(await submit(service, service.token)),
      /6 of 6 waiting jobs, the limit of MAX_WAITING_JOBS$/,
    );
  });

  test('the limits hold for all machines together', { skip: postgresMissing() ?? false }, async (t: TestContext) => {
    const postgres = await startPostgres();
    t.after(() => postgres.stop());
    const { url } = await postgres.createDatabase();
    const bounds = { MAX_WAITING_JOBS: '8', MAX_WAITING_JOBS_PER_KEY: '3', RESERVED_WAITING_JOBS: '3' };
    const settings = { DATABASE_URL: url, ROLE: 'gateway', API_KEYS: 'ada,bob,cyd', ...bounds };
    const machines = await Promise.all([1, 2].map(() => startTestService(t, settings)));
    const taken: Record<string, number> = {};
    for (const key of ['ada', 'bob', 'cyd', machines[0]?.token ?? '']) {
      const responses = await Promise.all([...machines, ...machines, ...machines].map((each) => submit(each, key)));
      taken[key] = responses.filter(({ status }) => status === 202).length;
    }
    assert.deepEqual(Object.values(taken), [3, 2, 0, 3]);
  });

  test('a reserve that leaves no job for other keys is an error of the settings; a small queue has no reserve', async (t) => {
    assert.throws(() => loadConfig([], { MAX_WAITING_JOBS: '50', RESERVED_WAITING_JOBS: '50' }), {
      message: 'Cannot use RESERVED_WAITING_JOBS=50: of MAX_WAITING_JOBS=50 none is left for other keys',
    });
    loadConfig([], { MAX_WAITING_JOBS: '0', RESERVED_WAITING_JOBS: '50' });
    const { service } = await startBusyService(t, { MAX_WAITING_JOBS: '19', API_KEYS: 'ada' });
    const responses = await Promise.all(Array.from({ length: 20 }, () => submit(service, 'ada')));
    assert.equal(responses.filter(({ status }) => status === 202).length, 19);
  });

  test('without a setting the reserve is 5 % of the queue', async (t) => {
    const { service } = await startBusyService(t, { MAX_WAITING_JOBS: '40', API_KEYS: 'ada' });
    const responses = await Promise.all(Array.from({ length: 40 }, () => submit(service, 'ada')));
    assert.equal(responses.filter(({ status }) => status === 202).length, 38);
  });
});

describe('priority', () => {
  test(requirement('J-27'), async (t) => {
    const { service } = await startBusyService(t, { API_KEYS: 'ada' });
    for (const priority of [1, 9]) {
      const response = await service.post('/execute', { prompt: 'hi', priority }, as('ada'));
      assert.equal(response.status, 400);
      assert.match(await errorText(response), /: priority: it is above 0, which only the operator's key may ask for$/);
    }
    for (const priority of [0, -9]) await execute(service, { prompt: 'hi', priority }, as('ada'));
    await execute(service, { prompt: 'hi', priority: 9 });
  });

  test('without an operator’s key no key may use a priority above 0', async (t) => {
    const service = await startTestService(t, { API_BEARER_TOKEN: '', API_KEYS: 'ada' });
    const response = await service.post('/execute', { prompt: promptFor({}), priority: 1 }, as('ada'));
    assert.equal(response.status, 400);
  });
});
