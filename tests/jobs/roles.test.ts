/** Whole servers as gateways and workers on one PostgreSQL. */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { fakeModelAgent } from '../support/fake-model-agent.ts';
import { postgresMissing, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { ask, startTestService } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

describe('Servers in roles', { skip: process.env['CI'] ? false : (postgresMissing() ?? false) }, () => {
  let postgres: TestPostgres;
  before(async () => {
    postgres = await startPostgres();
  });
  after(() => postgres.stop());

  async function startServer(
    t: TestContext,
    url: string,
    role: string,
    agent?: Awaited<ReturnType<typeof fakeModelAgent>>,
  ) {
    // A gateway needs no agent, so its command is one that cannot be an agent.
    const settings = { DATABASE_URL: url, ROLE: role, CLAUDE_BIN: agent?.claudeBin ?? '/bin/false', SANDBOX: 'off' };
    return startTestService(t, { ...settings, MAX_CONCURRENT_RUNS: '1' }, agent?.environment);
  }

  test('a gateway answers, streams and runs jobs on the slots of a worker', async (t) => {
    const { url } = await postgres.createDatabase();
    const gateway = await startServer(t, url, 'gateway');
    const busy = await gateway.post('/v1/chat/completions', ask('[[say: Paris]]'));
    assert.equal(busy.status, 503);
    assert.equal(((await busy.json()) as { detail: string }).detail, 'agent is busy');

    await startServer(t, url, 'worker', await fakeModelAgent(t));
    const plain = await gateway.post('/v1/chat/completions', ask('[[say: Paris]]'));
    const answer = (await plain.json()) as {
      choices: { message: { content: string } }[];
      usage: { prompt_tokens: number };
    };
    assert.equal(answer.choices[0]?.message.content, 'Paris');
    assert.ok(answer.usage.prompt_tokens > 0);

    const streamed = await gateway.post('/openai/v1/chat/completions', ask('[[say: Lyon it is]]', { stream: true }));
    const text = await streamed.text();
    assert.match(text, /data: \[DONE\]/);
    const pieces = [...text.matchAll(/"content":"([^"]*)"/g)].map(([, piece]) => piece);
    assert.equal(pieces.join(''), 'Lyon it is');

    const taken = await gateway.post('/execute', { prompt: '[[say: Nice]]', model: 'haiku' });
    const { job_id } = (await taken.json()) as { job_id: string };
    const job = await waitUntil('the job has ended', async () => {
      const found = (await (await gateway.get(`/jobs/${job_id}`)).json()) as { status: string; result: string };
      return found.status === 'completed' && found;
    });
    assert.equal(job.result, 'Nice');
  });

  test('a server whose own slot is taken runs a chat request on another server', async (t) => {
    const { url } = await postgres.createDatabase();
    const agent = await fakeModelAgent(t);
    const one = await startServer(t, url, 'all', agent);
    const other = await startServer(t, url, 'all', agent);
    const stop = new AbortController();
    const long = one.post('/openai/v1/chat/completions', ask('[[silence: 60000]]', { stream: true }), {}, stop.signal);
    await waitUntil('its slot is taken', async () => {
      const health = (await (await one.get('/health')).json()) as { active: number };
      return health.active === 1;
    });
    const answered = await one.post('/openai/v1/chat/completions', ask('[[say: elsewhere]]'));
    assert.match(await answered.text(), /elsewhere/);
    stop.abort();
    await long.then((response) => response.text()).catch(() => {});
    assert.equal((await other.get('/health')).status, 200);
  });
});
