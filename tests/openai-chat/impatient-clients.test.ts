/** A client with a time limit of its own asks again and again; a person who changes their mind asks once more. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { requirement } from '../contract/requirements.ts';
import { askFor, type ScriptedService, startScriptedService } from '../support/scripted-agent.ts';
import { waitUntil } from '../support/wait-until.ts';

/** Asks, and leaves without an answer after so long. */
async function leaveAfter(service: ScriptedService, ms: number, body: object): Promise<void> {
  const asked = service.post('/openai/v1/chat/completions', body, {}, AbortSignal.timeout(ms));
  await assert.rejects(asked, { name: 'TimeoutError' });
}

const idle = async (service: ScriptedService) =>
  ((await (await service.get('/health')).json()) as { active: number }).active === 0;

describe('who leaves without an answer', () => {
  test(
    requirement(['item-64', 'item-67', 'item-74'], 'twice after the same time is told why it never gets one'),
    async (t) => {
      const service = await startScriptedService(t, { CLIENT_GRACE_SECONDS: '0.5' });
      const body = askFor({ say: ['slow but sure'], pauseMs: 20_000 });
      await leaveAfter(service, 700, body);
      await leaveAfter(service, 700, body);
      // Longer than it is waited for: the agent does not go on.
      await waitUntil('the agent is ended', () => idle(service));
      for (const _ of [1, 2, 3]) {
        const refused = await service.chat('/openai/v1', body);
        assert.equal(refused.status, 503);
        assert.equal(refused.headers.get('x-should-retry'), 'false');
        const { error } = (await refused.json()) as { error: { message: string } };
        assert.match(error.message, /gave up twice after 0\.\d s.*stream the answer/);
      }
      assert.equal(service.starts().length, 1);
    },
  );

  test('twice as it pleases is served when it asks again', async (t) => {
    const service = await startScriptedService(t, { CLIENT_GRACE_SECONDS: '0.5' });
    const body = askFor({ say: ['slow but sure'], pauseMs: 2500 });
    await leaveAfter(service, 300, body);
    await leaveAfter(service, 1200, body);
    await waitUntil('the agent is ended', () => idle(service));
    const answer = await service.chat('/openai/v1', body);
    assert.equal(answer.status, 200);
    assert.equal(service.starts().length, 2);
  });
});
