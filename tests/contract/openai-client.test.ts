/** The published openai client at the native API, with its default settings. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import OpenAI, {
  APIConnectionTimeoutError,
  AuthenticationError,
  BadRequestError,
  type InternalServerError,
} from 'openai';
import { askFor, makeGate, startScriptedService } from '../support/scripted-agent.ts';
import { startFakeModelService } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';
import { requirement } from './requirements.ts';

type Messages = OpenAI.ChatCompletionMessageParam[];

const failing = askFor({ exit: 3, stderr: 'boom' }).messages as Messages;

describe('the openai client', () => {
  test(requirement('C-25'), async (t) => {
    const { service } = await startFakeModelService(t);
    const client = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: service.token });
    const completion = await client.chat.completions.create({
      model: 'haiku',
      messages: [
        { role: 'system', content: 'You are concise.' },
        { role: 'user', content: 'Capital of France? [[say: Paris.]]' },
      ],
    });
    assert.equal(completion.choices[0]?.message.content, 'Paris.');
    assert.ok((completion.usage?.total_tokens ?? 0) > 0);
    assert.match(completion._request_id ?? '', /^req_/);
    const models = await client.models.list();
    assert.deepEqual(
      models.data.map(({ id }) => id),
      ['haiku', 'sonnet', 'opus'],
    );
    assert.equal((await client.models.retrieve('opus')).id, 'opus');
  });

  test(requirement('C-25', 'its errors have the cause of the failure'), async (t) => {
    const service = await startScriptedService(t);
    const client = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: service.token });
    const messages: Messages = [{ role: 'user', content: 'hi' }];
    await assert.rejects(client.chat.completions.create({ model: 'gpt-4o', messages }), (error: BadRequestError) => {
      assert.ok(error instanceof BadRequestError);
      assert.match(error.message, /unsupported model/);
      return true;
    });
    await assert.rejects(client.chat.completions.create({ model: 'haiku', messages, stream: true }), BadRequestError);
    const stranger = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: 'wrong' });
    await assert.rejects(stranger.models.list(), AuthenticationError);
    assert.deepEqual(service.starts(), []);
  });

  test(requirement(['C-25', 'item-64', 'item-65'], 'its retries do not start a failed run again'), async (t) => {
    const service = await startScriptedService(t);
    for (const [at, api] of ['/v1', '/openai/v1'].entries()) {
      const client = new OpenAI({ baseURL: service.url + api, apiKey: service.token });
      const failure = client.chat.completions.create({ model: 'haiku', messages: failing });
      await assert.rejects(failure, (error: InternalServerError) => error.status === 503 && error.requestID !== null);
      assert.equal(service.starts().length, at + 1);
    }
  });

  test(requirement('item-64', 'its retries after a timeout of its own join the run'), async (t) => {
    const service = await startScriptedService(t);
    const gate = await makeGate(t);
    let requests = 0;
    const client = new OpenAI({
      baseURL: `${service.url}/openai/v1`,
      apiKey: service.token,
      timeout: 3000,
      maxRetries: 2,
      fetch(...args) {
        requests += 1;
        if (requests === 2) gate.open();
        return fetch(...args);
      },
    });
    const { messages } = askFor({ say: ['patience'], gate: gate.file });
    const completion = await client.chat.completions.create({ model: 'haiku', messages: messages as Messages });
    assert.equal(completion.choices[0]?.message.content, 'patience');
    assert.ok(requests >= 2);
    assert.equal(service.starts().length, 1);
  });

  test(requirement(['C-25', 'item-74'], 'its agent ends when it gives up'), async (t) => {
    const service = await startScriptedService(t, { CLIENT_GRACE_SECONDS: '0.1' });
    const client = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: service.token, timeout: 500, maxRetries: 0 });
    const { messages } = askFor({ hang: true });
    const answer = client.chat.completions.create({ model: 'haiku', messages: messages as Messages });
    await assert.rejects(answer, APIConnectionTimeoutError);
    const active = async () => ((await (await service.get('/health')).json()) as { active: number }).active;
    await waitUntil('the slot is free', async () => (await active()) === 0);
  });
});
