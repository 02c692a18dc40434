/** The messages of the CLI: the server knows every type that the pinned CLI sends in normal work. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readMessage } from '../../src/agents/protocol/messages.ts';
import { unsealed } from '../support/bubblewrap.ts';
import { ask, startFakeModelService } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

const bash = (input: object) => `[[tool: Bash ${JSON.stringify(input)}]]`;
const subAgent = (prompt: string, more: object = {}) =>
  `[[tool: Agent ${JSON.stringify({ description: 'd', prompt, subagent_type: 'general-purpose', ...more })}]]`;

/** Prompts that make the CLI send as many types of messages as possible. */
const battery = [
  `[[think: hm]] [[say: a]] ${bash({ command: 'true' })} [[tool: Read {"file_path":"/etc/hostname"}]] [[say: b]]`,
  '[[tool: Write {"file_path":"x.txt","content":"a"}]] [[tool: Edit {"file_path":"x.txt","old_string":"a","new_string":"b"}]] [[say: c]]',
  `${bash({ command: 'for i in 1 2 3 4; do sleep 1; done' })} [[say: d]]`,
  `${bash({ command: 'sleep 0.2', run_in_background: true })} ${bash({ command: 'for i in 1 2; do sleep 1; done' })} [[say: e]]`,
  `${subAgent(`${bash({ command: 'true' })} [[say: sub]]`, { run_in_background: false })} [[say: f]]`,
  `${subAgent('[[say: sub]]', { run_in_background: true })} ${bash({ command: 'for i in 1 2; do sleep 1; done' })} [[say: g]]`,
  '[[tool: Skill {"skill":"init"}]] [[say: h]]',
  '[[tool: NoSuchTool {}]] [[tool: ToolSearch {"query":"select:Monitor"}]] [[tool: EnterPlanMode {}]] [[say: i]]',
  '[[say: half]] [[stop: max_tokens]] [[say: rest]]',
  '[[unended: partial]] [[say: whole]]',
  '[[error: 529x1 overloaded_error Overloaded]] [[say: j]]',
  '[[error: 400 invalid_request_error no]]',
  '[[refuse]]',
];

test('no message of the pinned CLI is unknown', async (t) => {
  const { service } = await startFakeModelService(t, { AGENT_ACCESS: 'full', PREWARMED_AGENTS: '1', ...unsealed });
  const unknown = async () => {
    const text = await (await service.get('/metrics')).text();
    return text.split('\n').filter((line) => line.startsWith('agent_unknown_messages_total{'));
  };
  for (const prompt of battery) {
    await service.post('/openai/v1/chat/completions', ask(prompt));
    assert.deepEqual(await unknown(), [], prompt);
  }
  for (const prompt of battery.slice(4)) await service.post('/v1/chat/completions', ask(prompt));
  for (const prompt of battery.slice(0, 4)) {
    const { job_id } = (await (await service.post('/execute', { prompt })).json()) as { job_id: string };
    await waitUntil('the job has ended', async () => {
      const { status } = (await (await service.get(`/jobs/${job_id}`)).json()) as { status: string };
      return status !== 'queued' && status !== 'running';
    });
  }
  const messages = [
    { role: 'user', content: '[[say: one]]' },
    { role: 'assistant', content: 'other' },
    { role: 'user', content: '[[say: two]]' },
  ];
  await service.post('/openai/v1/chat/completions', { model: 'opus', messages, reasoning_effort: 'low' });
  assert.deepEqual(await unknown(), []);
});

describe('a message', () => {
  test('of an unknown type is counted', () => {
    assert.deepEqual(readMessage('{"type":"weather"}'), { type: 'unknown', name: 'weather' });
    assert.deepEqual(readMessage('{"type":"system","subtype":"novelty"}'), { type: 'unknown', name: 'system/novelty' });
  });

  test('about a tool that runs for long is a sign of life with the id of the tool call', () => {
    const heartbeat = { tool_use_id: 'toolu_1-heartbeat-0', parent_tool_use_id: 'toolu_1', tool_name: 'Bash' };
    const line = JSON.stringify({ type: 'tool_progress', ...heartbeat, elapsed_time_seconds: 30 });
    const event = { type: 'tool_progress', id: 'toolu_1', name: 'Bash', seconds: 30 };
    assert.deepEqual(readMessage(line), { type: 'event', event });
  });
});
