/** A third API beside the two: one value, on a base path that another API has too. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Api } from '../../src/api/api.ts';
import { apis } from '../../src/api/apis.ts';
import { loadConfig } from '../../src/config/config.ts';
import { follow } from '../../src/runs/follow.ts';
import { startService } from '../../src/service.ts';
import { fakeModelAgent, scratchFolder } from '../support/fake-model-agent.ts';

const poem: Api<{ shout: boolean }> = {
  name: 'poem',
  // It shares its base with another API.
  bases: ['/openai/v1'],
  path: '/poems',
  runIdPrefix: 'poem',
  policy: { whenBusy: 'queue', reuse: 'kept', settle: 'at_outcome' },
  async read(body) {
    const { question, stream = false, shout = false } = body as { question: string; stream?: boolean; shout?: boolean };
    const messages = [{ role: 'user' as const, blocks: [{ type: 'text' as const, text: question }] }];
    return {
      task: { model: 'haiku', messages },
      view: { shout },
      stream,
      events: new Map([['text', 'whole']]),
      ignored: [],
    };
  },
  whole: (_run, { text }, { shout }) => JSON.stringify({ verse: shout ? text.toUpperCase() : text }),
  async *stream(run, _view, signal) {
    for await (const event of follow(run.log, 0, signal)) if (event.type === 'text') yield event.text;
    yield (await run.ended).state;
  },
  error: ({ code }) => ({ sorry: code }),
  about: { summary: 'Verses', body: () => ({ type: 'object' }) },
};

test('a third API is one value: it reads, renders, streams, repeats and tells errors in its own words', async (t) => {
  const { claudeBin, environment, model } = await fakeModelAgent(t);
  const settings = { PORT: '0', DATA_DIR: await scratchFolder(t), LOG_LEVEL: 'silent', PREWARMED_AGENTS: '0' };
  const config = loadConfig([], { ...settings, API_BEARER_TOKEN: 'key', CLAUDE_BIN: claudeBin });
  const service = await startService(config, environment, [...apis(config), poem]);
  t.after(() => service.close(0));
  const post = (body: object, headers?: Record<string, string>) =>
    fetch(`${service.url}/openai/v1/poems`, {
      method: 'POST',
      headers: { authorization: 'Bearer key', 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });

  const whole = { question: '[[say: a rose]]', shout: true };
  assert.deepEqual(await (await post(whole, { 'idempotency-key': 'k' })).json(), { verse: 'A ROSE' });
  const asked = model.requests.length;
  const repeat = await post(whole, { 'idempotency-key': 'k' });
  assert.deepEqual([await repeat.json(), model.requests.length], [{ verse: 'A ROSE' }, asked]);
  assert.match(repeat.headers.get('x-run-id') ?? '', /^poem-/);

  assert.equal(await (await post({ question: '[[say: is a rose]]', stream: true })).text(), 'is a rosesucceeded');

  const models = await fetch(`${service.url}/openai/v1/models`, { headers: { authorization: 'Bearer key' } });
  assert.equal(models.status, 200);
  const empty = await post({ question: '[[error: 400]]' });
  assert.deepEqual([empty.status, await empty.json()], [503, { sorry: 'agent_failed' }]);
  const described = await fetch(`${service.url}/openapi.json`, { headers: { authorization: 'Bearer key' } });
  assert.ok('/openai/v1/poems' in ((await described.json()) as { paths: object }).paths);
});
