/**
 * The shape of a chat completion request, as OpenAI defines it. Null means that a field is absent. Other fields are
 * allowed, and `ignored-fields.ts` finds them.
 */
import { z } from 'zod';

const textPart = z.object({ type: z.literal('text'), text: z.string() });
const refusalPart = z.object({ type: z.literal('refusal'), refusal: z.string() });
const imagePart = z.object({
  type: z.literal('image_url'),
  // The specification has the object; some clients send the bare string.
  image_url: z.union([z.string(), z.object({ url: z.string() })]),
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

const callArguments = z.object({ name: z.string().min(1), arguments: z.string() });

const toolCall = z.object({
  id: z.string().min(1),
  type: z.string().nullish(),
  index: z.int().nullish(),
  function: callArguments.nullish(),
  custom: z.object({ name: z.string().min(1), input: z.string() }).nullish(),
});

export const message = z.discriminatedUnion(
  'role',
  [
    z.object({ role: z.literal('system'), content: z.union([z.string(), textParts.min(1)]) }),
    z.object({ role: z.literal('developer'), content: z.union([z.string(), textParts.min(1)]) }),
    z.object({ role: z.literal('user'), content: z.union([z.string(), userParts.min(1)]) }),
    z.object({
      role: z.literal('assistant'),
      content: z.union([z.string(), assistantParts]).nullish(),
      refusal: z.string().nullish(),
      tool_calls: z.array(toolCall).nullish(),
      function_call: callArguments.nullish(),
    }),
    z.object({
      role: z.literal('tool'),
      // Null: the tool returned nothing.
      content: z.union([z.string(), textParts]).nullish(),
      tool_call_id: z.string().min(1),
    }),
    z.object({ role: z.literal('function'), content: z.string().nullish(), name: z.string().min(1) }),
  ],
  { error: onlyThese('this role', 'system, developer, user, assistant, tool, function') },
);

const anyObject = z.looseObject({});

const responseFormat = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.literal('text') }),
    // The specification has no schema here, but other servers and their clients do.
    z.object({ type: z.literal('json_object'), schema: anyObject.nullish() }),
    z.object({
      type: z.literal('json_schema'),
      json_schema: z.object({
        name: z.string().nullish(),
        description: z.string().nullish(),
        schema: anyObject.nullish(),
        // Every schema is enforced.
        strict: z.boolean().nullish(),
      }),
    }),
  ],
  { error: onlyThese('this format', 'text, json_object, json_schema') },
);

/** While an answer comes, each of its last characters is compared with the stop texts. */
const stopText = z.string().max(1000);

/** Fields that have an effect. */
const honoured = {
  model: z.string().nullish().describe('Of GET models; absent: the default model of the server.'),
  messages: z.array(message).min(1),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  n: z.int().min(1).max(1).nullish().describe('One answer per request.'),
  stop: z.union([stopText, z.array(stopText).max(4)]).nullish(),
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

const wholeNumber = z.number().refine(Number.isInteger, 'must be a whole number');

/** Fields that are checked and have no effect, because the agent has no such control. */
const ignored = {
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  seed: wholeNumber.nullish(),
  logit_bias: numbersByName.nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  // Clients of other servers send 0, -1 or -2 for "no limit".
  max_tokens: wholeNumber.nullish(),
  max_completion_tokens: wholeNumber.nullish(),
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
  moderation: anyObject.nullish(),
};

export const chatRequestShape = z.object({ ...honoured, ...ignored });

/** The names of the fields that have no effect. */
export const fieldsWithoutEffect = Object.keys(ignored);

export type ChatBody = z.infer<typeof chatRequestShape>;
export type ChatMessage = z.infer<typeof message>;
