/** An agent definition that does not exist is a clear error in all ways to start an agent, before the model is asked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, errorText, startFakeModelService } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

const format = { response_format: { type: 'json_object' } };

for (const PREWARMED_AGENTS of ['0', '1']) {
  test(`CHAT_AGENT and JOB_AGENT without a definition, PREWARMED_AGENTS=${PREWARMED_AGENTS}`, async (t) => {
    const settings = { CHAT_AGENT: 'nosuch', JOB_AGENT: 'nosuch', PREWARMED_AGENTS };
    const { service, model } = await startFakeModelService(t, settings);
    for (const [path, more] of [
      ['/v1', {}],
      ['/v1', format],
      ['/openai/v1', {}],
      ['/openai/v1', { stream: true }],
    ] as const) {
      // The second time shows that a repeat is not answered with the stored error.
      for (const time of ['first', 'second']) {
        const answer = await service.post(`${path}/chat/completions`, ask('[[say: x]]', more));
        if ('stream' in more) assert.match(await answer.text(), /"code":"agent_unknown"/);
        else {
          assert.equal(answer.status, 503, `${path} ${time}`);
          assert.match(await errorText(answer), /nosuch.*general-purpose/);
        }
        assert.equal(answer.headers.get('x-repeat'), null);
      }
    }
    const { job_id } = (await (await service.post('/execute', { prompt: '[[say: x]]' })).json()) as { job_id: string };
    const job = await waitUntil('the job has ended', async () => {
      const record = (await (await service.get(`/jobs/${job_id}`)).json()) as {
        status: string;
        error: { code: string };
      };
      return ['queued', 'running'].includes(record.status) ? undefined : record;
    });
    assert.deepEqual([job.status, job.error.code], ['failed', 'agent_unknown']);
    assert.equal(model.asked().length, 0, 'the model was not asked');
  });
}

test('an agent definition that exists is used, and serves a follow-up', async (t) => {
  const { service } = await startFakeModelService(t, { CHAT_AGENT: 'Explore' });
  const messages = [{ role: 'user', content: '[[say: one]]' }];
  for (const word of ['one', 'two']) {
    const answer = await service.post('/openai/v1/chat/completions', { model: 'haiku', messages });
    const text = await answer.text();
    assert.match(text, new RegExp(`"content":"${word}"`));
    messages.push({ role: 'assistant', content: word }, { role: 'user', content: '[[say: two]]' });
  }
});
