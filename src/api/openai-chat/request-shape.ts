/**
 * The shape of a chat completion request, as OpenAI defines it. Unknown fields are allowed, and null means that a field
 * is absent.
 */
import { z } from 'zod';

const textPart = z.looseObject({ type: z.literal('text'), text: z.string() });
const refusalPart = z.looseObject({ type: z.literal('refusal'), refusal: z.string() });
const imagePart = z.looseObject({
  type: z.literal('image_url'),
  // The specification has the object; some clients send the bare string.
  image_url: z.union([z.string(), z.looseObject({ url: z.string() })]),
});

const onlyThese = (what: string, known: string) => (issue: { code?: string }) =>
  issue.code === 'invalid_union' ? `${what} is not supported; supported: ${known}` : undefined;

const textParts = z.array(
  z.discriminatedUnion('type', [textPart], {
    error: onlyThese('this part type', 'text (and image_url from the user)'),
  }),
);
const userParts = z.array(
  z.discriminatedUnion('type', [textPart, imagePart], { error: onlyThese('this part type', 'text, image_url') }),
);
const assistantParts = z.array(
  z.discriminatedUnion('type', [textPart, refusalPart], { error: onlyThese('this part type', 'text, refusal') }),
);

const callArguments = z.looseObject({ name: z.string().min(1), arguments: z.string() });

const toolCall = z.looseObject({
  id: z.string().min(1),
  function: callArguments.nullish(),
  custom: z.looseObject({ name: z.string().min(1), input: z.string() }).nullish(),
});

export const message = z.discriminatedUnion(
  'role',
  [
    z.looseObject({ role: z.literal('system'), content: z.union([z.string(), textParts.min(1)]) }),
    z.looseObject({ role: z.literal('developer'), content: z.union([z.string(), textParts.min(1)]) }),
    z.looseObject({ role: z.literal('user'), content: z.union([z.string(), userParts.min(1)]) }),
    z.looseObject({
      role: z.literal('assistant'),
      content: z.union([z.string(), assistantParts]).nullish(),
      refusal: z.string().nullish(),
      tool_calls: z.array(toolCall).nullish(),
      function_call: callArguments.nullish(),
    }),
    z.looseObject({
      role: z.literal('tool'),
      content: z.union([z.string(), textParts]),
      tool_call_id: z.string().min(1),
    }),
    z.looseObject({ role: z.literal('function'), content: z.string().nullish(), name: z.string().min(1) }),
  ],
  { error: onlyThese('this role', 'system, developer, user, assistant, tool, function') },
);

const anyObject = z.looseObject({});

const responseFormat = z.discriminatedUnion(
  'type',
  [
    z.looseObject({ type: z.literal('text') }),
    z.looseObject({ type: z.literal('json_object') }),
    z.looseObject({
      type: z.literal('json_schema'),
      json_schema: z.looseObject({ name: z.string().nullish(), schema: anyObject.nullish() }),
    }),
  ],
  { error: onlyThese('this format', 'text, json_object, json_schema') },
);

/** Fields that have an effect. */
const honoured = {
  model: z.string().nullish().describe('Of GET models; absent: the default model of the server.'),
  messages: z.array(message).min(1),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  n: z.int().min(1).max(1).nullish().describe('One answer per request.'),
  stop: z.union([z.string(), z.array(z.string()).max(4)]).nullish(),
  response_format: responseFormat.nullish(),
  reasoning_effort: z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']).nullish(),
  modalities: z.array(z.literal('text', { error: 'must be "text": this server answers in text' })).nullish(),
  tool_choice: z.union([z.string(), anyObject]).nullish(),
  function_call: z.union([z.string(), anyObject]).nullish(),
};

/** An object of numbers. It is not a Zod record, because Zod would report a problem for every entry of a record. */
const numbersByName = anyObject
  .check(({ value, issues }) => {
    const wrong = Object.keys(value).find((name) => !Number.isFinite(value[name]));
    if (wrong !== undefined)
      issues.push({ code: 'invalid_type', expected: 'number', input: value[wrong], path: [wrong] });
  })
  .meta({ additionalProperties: { type: 'number' } });

/** Fields that are checked and have no effect, because the agent has no such control. */
const ignored = {
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  seed: z.number().refine(Number.isInteger, 'must be a whole number').nullish(),
  logit_bias: numbersByName.nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  tools: z.array(anyObject).nullish(),
  functions: z.array(anyObject).nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  audio: anyObject.nullish(),
  user: z.string().nullish(),
  safety_identifier: z.string().nullish(),
  metadata: anyObject.nullish(),
  store: z.boolean().nullish(),
  service_tier: z.string().nullish(),
  prediction: anyObject.nullish(),
  verbosity: z.string().nullish(),
  prompt_cache_key: z.string().nullish(),
  prompt_cache_options: anyObject.nullish(),
  prompt_cache_retention: z.string().nullish(),
  web_search_options: anyObject.nullish(),
};

export const chatRequestShape = z.looseObject({ ...honoured, ...ignored });

export type ChatBody = z.infer<typeof chatRequestShape>;
export type ChatMessage = z.infer<typeof message>;

/** Values that ask for nothing, so the answer need not name these fields. */
const withoutEffect: Record<string, unknown> = { logprobs: false, store: false, service_tier: 'auto', top_logprobs: 0 };

const maxNames = 50;

/**
 * Returns the request fields that have no effect here. The names go into a header, so unknown fields are listed only if
 * their names are well-formed.
 */
export function ignoredFields(body: ChatBody): string[] {
  const names: string[] = [];
  for (const name of Object.keys(body)) {
    if (names.length === maxNames) break;
    if (isIgnored(body, name)) names.push(name);
  }
  return names;
}

function isIgnored(body: ChatBody, name: string): boolean {
  const value = body[name];
  if (value === null || value === undefined) return false;
  if (Object.hasOwn(withoutEffect, name) && withoutEffect[name] === value) return false;
  if (name === 'stream_options') return body.stream !== true;
  return !Object.hasOwn(honoured, name) && /^[A-Za-z0-9_.-]{1,64}$/.test(name);
}
