/** A client with a time limit of its own repeats its request without end; a person who changes their mind repeats it once. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { requirement } from '../contract/requirements.ts';
import { activeRuns, askFor, makeGate, type ScriptedService, startScriptedService } from '../support/scripted-agent.ts';
import { waitUntil } from '../support/wait-until.ts';

/** Sends a request, and leaves without an answer after so many milliseconds. */
async function leaveAfter(service: ScriptedService, ms: number, body: object): Promise<void> {
  const asked = service.post('/openai/v1/chat/completions', body, {}, AbortSignal.timeout(ms));
  await assert.rejects(asked, { name: 'TimeoutError' });
}

const idle = async (service: ScriptedService) => (await activeRuns(service)) === 0;

describe('a client that leaves without an answer', () => {
  test(
    requirement(['item-64', 'item-67', 'item-74'], 'twice after the same time gets an error that gives the reason'),
    async (t) => {
      const service = await startScriptedService(t, { CLIENT_GRACE_SECONDS: '2' });
      const body = askFor({ hang: true });
      // Long enough that what a busy machine adds is within the tolerance.
      await leaveAfter(service, 2500, body);
      await leaveAfter(service, 2500, body);
      await waitUntil('the agent is ended', () => idle(service));
      for (const _ of [1, 2, 3]) {
        const refused = await service.chat('/openai/v1', body);
        assert.equal(refused.status, 503);
        assert.equal(refused.headers.get('x-should-retry'), 'false');
        const { error } = (await refused.json()) as { error: { message: string } };
        assert.match(error.message, /gave up twice after \d\.\d s.*stream the answer/);
      }
      assert.equal(service.starts().length, 1);
    },
  );

  test('twice after different times is served when it repeats its request', async (t) => {
    const service = await startScriptedService(t, { CLIENT_GRACE_SECONDS: '2' });
    const gate = await makeGate(t);
    const body = askFor({ say: ['slow but sure'], gate: gate.file });
    await leaveAfter(service, 300, body);
    await leaveAfter(service, 1500, body);
    await waitUntil('the agent is ended', () => idle(service));
    gate.open();
    const answer = await service.chat('/openai/v1', body);
    assert.equal(answer.status, 200);
    assert.equal(service.starts().length, 2);
  });
});
