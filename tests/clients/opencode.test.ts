/** opencode, an agentic client: it requests a title beside every first question, sends its tools, and retries without end. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { requirement } from '../contract/requirements.ts';
import { startCountedService } from '../support/counted-agent.ts';
import { opencode } from '../support/opencode.ts';
import { type ScriptedService, startScriptedService } from '../support/scripted-agent.ts';
import { waitUntil } from '../support/wait-until.ts';

const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

const at = ({ url, token }: { url: string; token: string }, api: string) => ({ baseURL: url + api, apiKey: token });

/** How many agents were given the request for a title, and the question. `opencode run` joins its words without quotes. */
function starts(service: ScriptedService): { titles: number; answers: number } {
  const asked = service.received().filter(({ type }) => type === 'user');
  const titles = asked.filter((message) => JSON.stringify(message).includes('Generate a title')).length;
  return { titles, answers: asked.length - titles };
}

describe('opencode', { concurrency: 2 }, () => {
  test(
    requirement(
      ['item-108', 'item-40', 'item-22'],
      'talks to the real agent, continues the conversation, and sends an image',
    ),
    async (t) => {
      const { service, starts: count, model, lastRequest } = await startCountedService(t);
      const { run, folder } = await opencode(t, at(service, '/openai/v1'));
      const first = await run('first question [[say: first answer]]');
      assert.equal(first.exitCode, 0, first.stderr);
      assert.equal(first.stdout.trim(), 'first answer');
      assert.equal(count(), 2, 'the title and the answer');

      await writeFile(join(folder, 'dot.png'), png);
      const second = await run('second question [[say: second answer]]', '--continue', '--file', 'dot.png');
      assert.equal(second.stdout.trim(), 'second answer', second.stderr);
      assert.equal(count(), 3, 'no second title');
      assert.equal(model.asked().length, 3);
      const { system, messages } = lastRequest();
      assert.match(system, /opencode/i);
      assert.deepEqual(
        messages.map(({ role }) => role),
        ['user', 'assistant', 'user'],
      );
      assert.match(JSON.stringify(messages[0]), /first question/);
      assert.match(JSON.stringify(messages[1]), /first answer/);
      const image = messages[2]?.blocks.find((block) => block.type === 'image');
      assert.equal(image?.source.data, png.toString('base64'));
    },
  );

  test(requirement(['item-64', 'item-89'], 'shows why an agent failed, and starts it once'), async (t) => {
    const service = await startScriptedService(t);
    const { run } = await opencode(t, at(service, '/openai/v1'));
    const { exitCode, stderr } = await run('go', '#agent', '{"say":["half"],"exit":3,"stderr":"boom"}');
    assert.equal(exitCode, 1);
    assert.match(stderr, /boom/);
    assert.deepEqual(starts(service), { titles: 1, answers: 1 });
  });

  test(requirement(['item-66'], 'retries until a slot is free'), async (t) => {
    const service = await startScriptedService(t, { MAX_CONCURRENT_RUNS: '1', MAX_QUEUED_RUNS: '0' });
    const { run } = await opencode(t, at(service, '/openai/v1'));
    const { stdout, stderr } = await run('go', '#agent', '{"say":["in-","order"],"pauseMs":400}');
    assert.equal(stdout.trim(), 'in-order', stderr);
    assert.deepEqual(starts(service), { titles: 1, answers: 1 });
  });

  test(requirement(['item-63'], 'sends one request for an unknown model, and shows the error'), async (t) => {
    const service = await startScriptedService(t);
    const { run } = await opencode(t, at(service, '/openai/v1'), 'gpt-4o');
    const { exitCode, stderr } = await run('hi');
    assert.equal(exitCode, 1);
    assert.match(stderr, /unsupported model, this server has haiku, sonnet, opus/);
    assert.deepEqual(service.starts(), []);
  });

  test(requirement(['item-74'], 'is killed, and its agents end'), async (t) => {
    const service = await startScriptedService(t);
    const { start } = await opencode(t, at(service, '/openai/v1'));
    const child = start('go', '#agent', '{"hang":true}');
    await waitUntil('both agents work', () => starts(service).titles === 1 && starts(service).answers === 1);
    child.kill('SIGKILL');
    await waitUntil('both slots are free', async () => {
      const { active } = (await (await service.get('/health')).json()) as { active: number };
      return active === 0;
    });
  });
});
