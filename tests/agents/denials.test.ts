/** Tool calls that were refused are told: in the answer, in the record and the events of a job, and by `jobs run`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runJobsCommand } from '../support/jobs-command.ts';
import { ask, startFakeModelService } from '../support/service.ts';

const script = '[[tool: Bash {"command":"git push origin main"}]] [[say: done]]';

type Denial = { tool: string; input: string; reason: string };

function assertDenied(denials: Denial[] | undefined): void {
  assert.deepEqual(
    denials?.map(({ tool, input }) => [tool, input]),
    [['Bash', '{"command":"git push origin main"}']],
  );
  assert.match(denials?.[0]?.reason ?? '', /denied/);
}

test('whole and streamed answers name the refused tool calls', async (t) => {
  const { service } = await startFakeModelService(t, { AGENT_ACCESS: 'edit' });
  for (const api of ['/v1', '/openai/v1']) {
    const answer = await service.post(`${api}/chat/completions`, ask(script));
    assertDenied(((await answer.json()) as { agent: { denials: Denial[] } }).agent.denials);
    const without = await service.post(`${api}/chat/completions`, ask('[[say: nothing refused]]'));
    assert.deepEqual(((await without.json()) as { agent: { denials: Denial[] } }).agent.denials, []);
  }
  const body = ask(script, { stream: true });
  const stream = await (await service.post('/openai/v1/chat/completions', body, { 'x-agent-events': 'tools' })).text();
  assert.match(stream, /"reasoning_content":"refused: Bash: /);
  const [, agent = '{}'] = /"agent":(\{.*\})\}\n/.exec(stream) ?? [];
  assertDenied((JSON.parse(agent) as { denials: Denial[] }).denials);
});

test('a job has them in its record, as events, and in the last line of `jobs run`', async (t) => {
  const { service } = await startFakeModelService(t, { AGENT_ACCESS: 'edit' });
  const { status, stdout, stderr } = await runJobsCommand(t, ['run', script, '--wait', '--json', '--url', service.url]);
  assert.equal(status, 0);
  const record = JSON.parse(stdout) as { job_id: string; status: string; denials: Denial[] };
  assert.equal(record.status, 'completed');
  assertDenied(record.denials);
  assert.match(stderr, /^-- refused: Bash$/m);
  assert.match(stderr, /1 tool call was refused, because the agent has no permission: Bash\n$/);
  const events = await (await service.get(`/jobs/${record.job_id}/events`)).text();
  assert.match(events, /event: denied\ndata: \{"type":"denied",.*"tool":"Bash","reason":".*denied.*"\}/);
});

test('a run that fails after a refusal has them in its record too', async (t) => {
  const { service } = await startFakeModelService(t, { AGENT_ACCESS: 'edit', JOB_MODEL_RETRIES: '0' });
  const failing = `${script.replace('[[say: done]]', '')} [[error: 400 invalid_request_error no]]`;
  const { status, stdout } = await runJobsCommand(t, ['run', failing, '--wait', '--json', '--url', service.url]);
  assert.equal(status, 1);
  assertDenied((JSON.parse(stdout) as { denials: Denial[] }).denials);
});
