/** A run is recorded with the real CLI and replayed without it, as CONTRIBUTING.md describes. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hostEnvironment } from '../../src/config/config.ts';
import { fakeModelAgent, scratchFolder } from '../support/fake-model-agent.ts';
import { ask, startTestService } from '../support/service.ts';

const script = (name: string) => fileURLToPath(new URL(`../../scripts/${name}`, import.meta.url));

for (const api of ['/openai/v1', '/v1']) {
  test(`a recorded run at ${api} is replayed without the CLI and without a model`, async (t) => {
    const { claudeBin, environment, model } = await fakeModelAgent(t);
    const file = join(await scratchFolder(t), 'agent.jsonl');
    const settings = { SANDBOX: 'off', AGENT_ENV: 'RECORD_FILE,RECORD_CLAUDE,REPLAY_FILE' };
    const post = async (name: string, more: Record<string, string>) => {
      const service = await startTestService(
        t,
        { CLAUDE_BIN: script(name), ...settings },
        { ...hostEnvironment(), ...environment, ...more },
      );
      const response = await service.post(`${api}/chat/completions`, ask('[[say: a recorded answer]]'));
      assert.equal(response.status, 200, await response.clone().text());
      return ((await response.json()) as { choices: { message: { content: string } }[] }).choices[0]?.message.content;
    };
    assert.equal(await post('record-agent', { RECORD_FILE: file, RECORD_CLAUDE: claudeBin }), 'a recorded answer');
    const asked = model.requests.length;
    assert.equal(await post('replay-agent', { REPLAY_FILE: file }), 'a recorded answer');
    assert.equal(model.requests.length, asked);
  });
}
