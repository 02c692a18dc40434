/** What OpenAI's specification requires of answers, as far as this server gives them; checked with Ajv. */
import assert from 'node:assert/strict';
import { Ajv } from 'ajv';

const string = { type: 'string' };
const integer = { type: 'integer' };
const maybeString = { type: ['string', 'null'] };
const finishReason = { enum: ['stop', 'length', 'content_filter'] };

const object = (properties: Record<string, object>, optional: Record<string, object | false> = {}) => ({
  type: 'object',
  required: Object.keys(properties),
  properties: { ...properties, ...optional },
});

const usage = object(
  { prompt_tokens: integer, completion_tokens: integer, total_tokens: integer },
  {
    prompt_tokens_details: object({ cached_tokens: integer, cache_write_tokens: integer }),
    completion_tokens_details: { type: 'object' },
  },
);

const exactlyOne = (items: object) => ({ type: 'array', minItems: 1, maxItems: 1, items });

const shapes = {
  completion: object(
    {
      id: string,
      object: { const: 'chat.completion' },
      created: integer,
      model: string,
      choices: exactlyOne(
        object({
          index: { const: 0 },
          message: object({ role: { const: 'assistant' }, content: string, refusal: { type: 'null' } }),
          logprobs: { type: 'null' },
          finish_reason: finishReason,
        }),
      ),
    },
    { usage },
  ),
  chunk: object(
    {
      id: string,
      object: { const: 'chat.completion.chunk' },
      created: integer,
      model: string,
      choices: {
        type: 'array',
        maxItems: 1,
        items: object({
          index: { const: 0 },
          delta: object(
            {},
            { role: { const: 'assistant' }, content: string, reasoning_content: string, tool_calls: false },
          ),
          finish_reason: { anyOf: [finishReason, { type: 'null' }] },
        }),
      },
    },
    { usage: { anyOf: [usage, { type: 'null' }] } },
  ),
  error: object({ error: object({ message: string, type: string, param: maybeString, code: maybeString }) }),
  models: object({
    object: { const: 'list' },
    data: {
      type: 'array',
      minItems: 1,
      items: object({ id: string, object: { const: 'model' }, created: integer, owned_by: string }),
    },
  }),
};

const ajv = new Ajv({ strict: false, allErrors: true });
const validators = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, ajv.compile(shape)]));

export function assertShape(name: keyof typeof shapes, value: unknown): void {
  const validate = validators[name];
  assert.ok(validate?.(value), `not a ${name}: ${ajv.errorsText(validate?.errors)}: ${JSON.stringify(value)}`);
}
