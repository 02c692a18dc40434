/** Every field that OpenAI publishes: each valid value is honoured, is named as ignored, or is refused with a reason. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createModels } from '../../src/api/models.ts';
import { type ReadOptions, readChatRequest } from '../../src/api/openai-chat/read-chat-request.ts';
import type { ServiceError } from '../../src/errors.ts';
import { violation } from '../support/published-schemas.ts';
import { propertiesOf, samplesOf } from '../support/samples.ts';

/** The model names of the specification are served here, so that a model is no reason to refuse. */
const anyModel = createModels({ models: ['haiku'], defaultModel: 'haiku', modelAliases: {} }, 0);
const options = {
  models: { ...anyModel, resolve: () => ({ requestedModel: 'haiku', model: 'haiku' }) },
  ignoredParams: 'accept' as const,
  unknownQuery: [],
  schemaProblem: async () => undefined,
} satisfies ReadOptions;

/** The fields that have an effect, or whose value says what the shape of the request says anyway. */
const honoured = [
  ...['model', 'stream', 'stream_options.include_usage', 'n', 'stop', 'reasoning_effort', 'modalities'],
  ...['response_format', 'tool_choice', 'function_call'],
  ...[
    'messages.role',
    'messages.content',
    'messages.content.type',
    'messages.content.text',
    'messages.content.refusal',
  ],
  ...['messages.content.image_url', 'messages.content.image_url.url', 'messages.refusal', 'messages.tool_call_id'],
  ...['messages.tool_calls', 'messages.function_call'],
];

/** What the agent cannot do, so that an answer would not be what was asked for. */
const refusals: RegExp[] = [
  /^Cannot read the request: n: must be at most 1$/,
  /modalities\[\d\]: must be "text"/,
  /(tool_choice|function_call): must be "auto" or "none"/,
  /messages\[\d\]\.content\[\d\]\.type: this part type is not supported; supported: text, image_url$/,
  /content\[\d\]\.image_url: must be a data: URL with base64 content/,
  /response_format\.json_schema\.schema: must have "type": "object" at its root/,
];

const hello = { role: 'user', content: 'hi' };
const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } };

/** The fields with a value that are not in `honoured`, as `x-ignored-params` names them. */
function unhonoured(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => unhonoured(item, path));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => {
    const field = path === '' ? name : `${path}.${name}`;
    if (member === null) return [];
    if (honoured.includes(field)) return field.startsWith('messages.content') ? unhonoured(member, field) : [];
    const isContainer = ['messages', 'stream_options', 'messages.content'].includes(field);
    return isContainer ? unhonoured(member, field) : [field];
  });
}

async function accountsFor(body: { messages: unknown[] } & Record<string, unknown>): Promise<void> {
  const shown = JSON.stringify(body);
  const { model: _, ...others } = body;
  assert.equal(violation('CreateChatCompletionRequest', { ...body, model: 'gpt-4o' }), undefined, shown);
  const read = await readChatRequest(others, options).catch((error: ServiceError) => error);
  if (read instanceof Error) {
    const known = refusals.some((refusal) => refusal.test(read.message));
    assert.ok(known, `${shown}: ${read.message}`);
    return;
  }
  const named = new Set(read.ignored.map((name) => name.replace(/^stream_options$/, 'stream_options.include_usage')));
  const silent = unhonoured(others).filter((field) => !named.has(field) && !asksForNothing(field, body));
  // Of the roles only \`function\` has a use for a name: it pairs a result with its call.
  if ((body.messages.at(-1) as { role: string }).role === 'function') silent.splice(silent.indexOf('messages.name'), 1);
  assert.deepEqual(silent, [], `${shown}: dropped and not named`);
}

function asksForNothing(field: string, body: Record<string, unknown>): boolean {
  const value = body[field];
  const isNothing = value === false || value === 0 || (field === 'service_tier' && value === 'auto');
  return (
    (isNothing && ['logprobs', 'store', 'top_logprobs', 'service_tier'].includes(field)) || withoutStream(field, body)
  );
}

/** Without `stream` the whole field is named. */
function withoutStream(field: string, body: Record<string, unknown>): boolean {
  return field.startsWith('stream_options.') && body['stream'] !== true;
}

describe('each valid value of the field', () => {
  for (const [name, schema] of Object.entries(propertiesOf('CreateChatCompletionRequest'))) {
    if (name === 'messages' || name === 'model') continue;
    test(name, async () => {
      const samples = samplesOf(schema).map((value) => (name === 'response_format' ? withObjectSchema(value) : value));
      assert.ok(samples.length > 0);
      for (const value of samples) {
        const streamed = name === 'stream_options' ? { stream: true } : {};
        await accountsFor({ model: 'x', messages: [hello], ...streamed, [name]: value });
      }
    });
  }
});

/** The specification allows any schema. The agent takes objects. */
function withObjectSchema(format: unknown): unknown {
  const { json_schema: given } = format as { json_schema?: { schema?: object } };
  if (!given) return format;
  return { type: 'json_schema', json_schema: { ...given, schema: { type: 'object', ...given.schema } } };
}

describe('each valid value of each field of a message', () => {
  for (const role of ['System', 'Developer', 'User', 'Assistant', 'Tool', 'Function']) {
    const name = `ChatCompletionRequest${role}Message`;
    const before = role === 'Tool' ? [hello, { role: 'assistant', tool_calls: [call] }] : [hello];
    test(role, async () => {
      const samples = samplesOf({ $ref: `#/components/schemas/${name}` }) as Record<string, unknown>[];
      assert.ok(samples.length > 0);
      for (const sample of samples) {
        await accountsFor({ model: 'x', messages: [...before, { ...sample, role: role.toLowerCase() }] });
      }
    });
  }
});
