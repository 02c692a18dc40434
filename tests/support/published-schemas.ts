/** Checks answers and requests against OpenAI's published schemas. `tests/contract/openai-schemas.md` has the source. */
import assert from 'node:assert/strict';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import published from '../contract/openai-schemas.json' with { type: 'json' };

export type PublishedSchema =
  | 'CreateChatCompletionRequest'
  | 'CreateChatCompletionResponse'
  | 'CreateChatCompletionStreamResponse'
  | 'ListModelsResponse'
  | 'Model'
  | 'ErrorResponse';

const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
ajv.addSchema(withNullInsteadOfNullable(published) as object, 'openai');
const compiled = new Map<PublishedSchema, ValidateFunction>();

/** Why `value` does not satisfy the schema; `undefined` if it does. */
export function violation(name: PublishedSchema, value: unknown): string | undefined {
  const validate = compiled.get(name) ?? ajv.compile({ $ref: `openai#/components/schemas/${name}` });
  compiled.set(name, validate);
  return validate(value) ? undefined : ajv.errorsText(validate.errors);
}

export function assertPublished(name: PublishedSchema, value: unknown): void {
  assert.equal(violation(name, value), undefined, `not a ${name}: ${JSON.stringify(value)}`);
}

/** The specification uses `nullable` also beside `$ref` and `oneOf`; JSON Schema has no such keyword. */
function withNullInsteadOfNullable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withNullInsteadOfNullable);
  if (typeof value !== 'object' || value === null) return value;
  const { nullable, ...rest } = Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, withNullInsteadOfNullable(member)]),
  );
  return nullable === true ? { anyOf: [rest, { type: 'null' }] } : rest;
}
