/** The official client for Node: whole answers, streams with and without its helper, and `parse()`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI, { AuthenticationError, BadRequestError, InternalServerError, NotFoundError } from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { requirement } from '../contract/requirements.ts';
import { recordTraffic } from '../support/client-traffic.ts';
import { activeRuns, askFor, makeGate, startScriptedService } from '../support/scripted-agent.ts';
import { waitUntil } from '../support/wait-until.ts';
import {
  type Answer,
  type Connection,
  connectionTo,
  type PublishedClient,
  type Question,
  type Said,
} from './client.ts';
import { clientSuite } from './suite.ts';

type Messages = OpenAI.ChatCompletionMessageParam[];

const connect = (to: Connection, { timeoutMs }: Partial<Question> = {}) =>
  new OpenAI({ ...to, ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }) });

function messagesOf(said: Said[]): Messages {
  return said.flatMap((message): Messages => {
    const { role, text } = message;
    if (role === 'tool') {
      const { id, name, input } = message.call;
      const call = { id, type: 'function' as const, function: { name, arguments: JSON.stringify(input) } };
      return [
        { role: 'assistant', tool_calls: [call] },
        { role, tool_call_id: id, content: text },
      ];
    }
    if (role !== 'user' || !message.imageUrl) return [{ role, content: text }];
    const image = { type: 'image_url' as const, image_url: { url: message.imageUrl } };
    return [{ role, content: [{ type: 'text', text }, image] }];
  });
}

const answerOf = (text: string | null | undefined, usage: OpenAI.CompletionUsage | null | undefined): Answer => ({
  text: text ?? '',
  promptTokens: usage?.prompt_tokens,
  completionTokens: usage?.completion_tokens,
});

const tools: OpenAI.ChatCompletionTool[] = [
  { type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: {} }, strict: true } },
];

const openaiNode: PublishedClient = {
  name: 'openai-node',
  requestsPerFailure: 1,
  async ask(to, question) {
    const { model = 'haiku', messages, signal } = question;
    const sent = { model, messages: messagesOf(messages) };
    const completion = await connect(to, question).chat.completions.create(sent, { signal });
    return answerOf(completion.choices[0]?.message.content, completion.usage);
  },
  async stream(to, question, onPiece) {
    const { model = 'haiku', messages, signal } = question;
    const stream = connect(to, question).chat.completions.stream(
      { model, messages: messagesOf(messages), stream_options: { include_usage: true } },
      { signal },
    );
    stream.on('content', onPiece);
    const completion = await stream.finalChatCompletion();
    return answerOf(completion.choices[0]?.message.content, completion.usage);
  },
  async structured(to, prompt, signal) {
    const shape = z.object({ city: z.string(), population: z.number() });
    const completion = await connect(to).chat.completions.parse(
      {
        model: 'haiku',
        messages: [{ role: 'user', content: prompt }],
        response_format: zodResponseFormat(shape, 'city'),
      },
      { signal },
    );
    const { parsed } = completion.choices[0]?.message ?? {};
    if (!parsed) throw new Error('nothing was parsed');
    return parsed;
  },
  async askWithTools(to, prompt) {
    const completion = await connect(to).chat.completions.create({
      model: 'haiku',
      messages: [{ role: 'user', content: prompt }],
      tools,
      tool_choice: 'auto',
      parallel_tool_calls: true,
    });
    return answerOf(completion.choices[0]?.message.content, completion.usage);
  },
};

clientSuite(openaiNode);

test(
  requirement(
    ['item-96', 'item-97', 'item-103', 'item-70', 'item-41', 'item-66'],
    'openai-node: models, request ids, and errors with all their fields',
  ),
  async (t) => {
    const service = await startScriptedService(t, { MAX_CONCURRENT_RUNS: '1', MAX_QUEUED_RUNS: '0' });
    const traffic = recordTraffic();
    const to = connectionTo(service, traffic)('/openai/v1');
    const client = connect(to);
    const ids = (await client.models.list()).data.map(({ id }) => id);
    assert.deepEqual(ids, ['haiku', 'sonnet', 'opus']);
    assert.equal((await client.models.retrieve('opus')).id, 'opus');
    await assert.rejects(client.models.retrieve('a/b c'), NotFoundError);
    await assert.rejects(connect({ ...to, apiKey: 'wrong' }).models.list(), AuthenticationError);

    const messages: Messages = [{ role: 'user', content: 'hi' }];
    const completion = await client.chat.completions.create({ model: 'haiku', messages });
    assert.match(completion._request_id ?? '', /^req_/);

    const fieldsOf = (error: InstanceType<typeof OpenAI.APIError>) => [
      error.status,
      error.type,
      error.code,
      error.param,
    ];
    const failing = askFor({ exit: 3, stderr: 'boom' }).messages as Messages;
    await assert.rejects(client.chat.completions.create({ model: 'haiku', messages: failing }), (error) => {
      assert.ok(error instanceof InternalServerError);
      assert.deepEqual(fieldsOf(error), [503, 'execution_failed', 'agent_failed', null]);
      assert.match(error.requestID ?? '', /^req_/);
      return true;
    });
    await assert.rejects(client.chat.completions.create({ model: 'gpt-4o', messages }), (error) => {
      assert.ok(error instanceof BadRequestError);
      assert.deepEqual(fieldsOf(error), [400, 'invalid_request_error', 'model_not_found', 'model']);
      return true;
    });
    const forced = { model: 'haiku', messages, tools, tool_choice: 'required' } as const;
    await assert.rejects(client.chat.completions.create(forced), (error) => {
      assert.ok(error instanceof BadRequestError);
      assert.equal(error.param, 'tool_choice');
      return true;
    });

    const gate = await makeGate(t);
    const taking = client.chat.completions.create({
      model: 'haiku',
      messages: askFor({ say: ['done'], gate: gate.file }).messages as Messages,
    });
    await waitUntil('the slot is taken', async () => (await activeRuns(service)) === 1);
    const unrepeated = new OpenAI({ ...to, maxRetries: 0 });
    await assert.rejects(unrepeated.chat.completions.create({ model: 'haiku', messages }), (error) => {
      assert.ok(error instanceof InternalServerError);
      assert.deepEqual(fieldsOf(error), [503, 'overloaded_error', 'queue_full', null]);
      const wait = Number(error.headers?.get('retry-after'));
      assert.ok(Number.isInteger(wait) && wait >= 1 && wait <= 60, `${wait} s`);
      return true;
    });
    gate.open();
    assert.equal((await taking).choices[0]?.message.content, 'done');
    await traffic.assertPublished();
  },
);
