/** Chat bodies with one error each, made from valid ones; the same at every start. */
import { type Random, seededRandom } from './random.ts';

export type MalformedBody = {
  /** The error in it. */
  what: string;
  text: string;
  /** The field that the answer must name; `undefined`: the whole body. */
  field: string | undefined;
};

type Body = Record<string, unknown>;
type Json = unknown;

/** Served by both APIs. */
export function validBodies(): Body[] {
  const user = (content: Json) => ({ role: 'user', content });
  const call = { id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } };
  return [
    { model: 'haiku', messages: [user('hi')] },
    { messages: [{ role: 'system', content: 'Be brief.' }, user([{ type: 'text', text: 'hi' }])], temperature: 0.5 },
    {
      model: 'opus',
      messages: [
        { role: 'developer', content: [{ type: 'text', text: 'Rules.' }] },
        user('one'),
        { role: 'assistant', content: 'two' },
        user('\u0000\ud83d\ude00 \u202e three'),
      ],
      stop: ['END'],
      reasoning_effort: 'low',
    },
    {
      model: 'sonnet',
      messages: [
        user('look'),
        { role: 'assistant', content: null, tool_calls: [call] },
        { role: 'tool', tool_call_id: 'c1', content: 'seen' },
      ],
      tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }],
      tool_choice: 'auto',
      n: 1,
      max_tokens: 100,
    },
  ];
}

/** Each has one error at random. All texts are different. */
export function malformedBodies(count: number, seed: number): MalformedBody[] {
  const random = seededRandom(seed);
  const made = new Map<string, MalformedBody>();
  while (made.size < count) {
    const body = random.pick(makers)(random);
    made.set(body.text, body);
  }
  return [...made.values()];
}

type Maker = (random: Random) => MalformedBody;

/** Makers with more variants are listed several times. */
const makers: Maker[] = [
  wrongField,
  wrongField,
  wrongField,
  wrongMessage,
  wrongMessage,
  wrongMessages,
  wrongPart,
  wrongImage,
  wrongFormat,
  brokenJson,
  noObject,
  deepNesting,
  unknownModel,
  forcedTool,
];

const notText = [0, -1.5, true, {}, [], ['x'], { text: 'x' }];
const notBoolean = [0, 1, 'true', 'false', '', [], {}];
const notObject = [0, true, 'x', [], [{}]];
const notNumber = ['1', '', true, [], {}, [1]];
const notList = [0, true, 'x', {}, { 0: {} }];
const notEffort = ['extreme', 'LOW', '', 3, true, ['low']];
const outside = (low: number, high: number) => [...notNumber, low - 0.01, low - 1e9, high + 0.01, high + 1e300];
const notCount = [...notNumber, 0, -1, 1.5, 1e21 + 0.5, -(2 ** 53), Number.MIN_VALUE];

/** Values that the field cannot have. Null is the same as absent, and valid. */
const wrongValues: Record<string, readonly Json[]> = {
  model: notText,
  messages: [...notList, [], null, [1], [null], ['hi'], [[]], [[{ role: 'user', content: 'hi' }]]],
  stream: notBoolean,
  stream_options: [...notObject, { include_usage: 'yes' }, { include_usage: 1 }],
  n: [...notCount, 2, 128, 1e9],
  stop: [0, true, {}, [1], [null], ['a', {}], ['a', 'b', 'c', 'd', 'e']],
  response_format: [...notObject, {}, { type: 'yaml' }, { type: 1 }, { type: 'json_schema' }, { type: ['text'] }],
  reasoning_effort: notEffort,
  modalities: [...notList, ['audio'], ['text', 'audio'], ['TEXT'], [1]],
  tool_choice: [0, true, 1.5],
  function_call: [0, true, 1.5],
  temperature: outside(0, 2),
  top_p: outside(0, 1),
  presence_penalty: outside(-2, 2),
  frequency_penalty: outside(-2, 2),
  seed: [...notNumber, 0.5, -1e-3],
  logit_bias: [0, true, 'x', { 1: '2' }, { 1: null }, { 1: [] }],
  logprobs: notBoolean,
  top_logprobs: [...notNumber, -1, 21, 0.5],
  max_tokens: [...notNumber, 0.5, -1.5],
  max_completion_tokens: [...notNumber, 0.5, -1.5],
  tools: [...notList, [1], ['x'], [null], [[]]],
  functions: [...notList, [1], ['x'], [null]],
  parallel_tool_calls: notBoolean,
  user: notText,
  metadata: [0, true, 'x'],
  store: notBoolean,
};

function wrongField(random: Random): MalformedBody {
  const field = random.pick(Object.keys(wrongValues));
  const value = random.pick(wrongValues[field] ?? []);
  return whole(field, `${field} is ${shown(value)}`, { ...decorated(random), [field]: value });
}

function unknownModel(random: Random): MalformedBody {
  const model = random.pick(['gpt-4o', 'Haiku', 'haiku ', '', 'anthropic/haiku', random.weirdText()]);
  return whole('model', `the model is ${shown(model)}`, { ...decorated(random), model });
}

function forcedTool(random: Random): MalformedBody {
  const [field, value] = random.pick<[string, Json]>([
    ['tool_choice', random.pick(['required', 'any', 'AUTO', '', random.weirdText()])],
    ['tool_choice', { type: 'function', function: { name: random.weirdText() } }],
    ['tool_choice', { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [] } }],
    ['function_call', { name: random.weirdText() }],
  ]);
  return whole(field, `${field} is ${shown(value)}`, { ...decorated(random), [field]: value });
}

/** No list of messages that anyone could answer. */
function wrongMessages(random: Random): MalformedBody {
  const { messages: _, ...rest } = decorated(random);
  const blank = random.pick(['', ' ', '\n\t', '\u2003', '\ufeff'].flatMap((text) => [text, text.repeat(3)]));
  const role = random.pick(['user', 'system', 'developer']);
  const messages = random.pick<Json>([
    undefined,
    [{ role, content: blank }],
    [{ role, content: [{ type: 'text', text: blank }] }],
    [
      { role, content: blank },
      { role: 'user', content: blank },
    ],
  ]);
  return whole('messages', 'there is nothing to answer', { ...rest, messages });
}

/** One message of a right list made wrong. */
function wrongMessage(random: Random): MalformedBody {
  const wrong = random.pick<Json>([
    { content: 'hi' },
    { role: random.pick([...notText, null, 'User', ' user', 'robot', '__proto__', '']), content: 'hi' },
    { role: random.weirdText(), content: 'hi' },
    {
      role: random.pick(['user', 'system', 'developer']),
      content: random.pick([0, true, {}, null, [], ['x'], [null]]),
    },
    { role: random.pick(['user', 'system', 'developer']) },
    { role: 'assistant', content: random.pick([0, true, {}, ['x'], [{ type: 'image_url', image_url: 'x' }]]) },
    { role: 'assistant', tool_calls: random.pick([...notList, [1], [{}], [{ id: 1 }], [{ id: 'a', function: {} }]]) },
    { role: 'assistant', function_call: random.pick([0, 'f', [], {}, { name: 'f' }, { name: 1, arguments: '' }]) },
    { role: 'tool', content: 'x', tool_call_id: random.pick([undefined, '', ...notText]) },
    { role: 'function', content: random.pick([0, [], {}]), name: 'f' },
    { role: 'function', content: 'x', name: random.pick([undefined, '', ...notText]) },
    random.pick([0, true, 'hi', [], [{ role: 'user', content: 'hi' }], null]),
  ]);
  return withMessage(random, 'a wrong message', wrong);
}

function wrongPart(random: Random): MalformedBody {
  const type = random.pick([...notText, null, 'input_text', 'video_url', 'Text', '', '__proto__', random.weirdText()]);
  const part = random.pick<Json>([
    { type, text: 'x' },
    { type: 'text', text: random.pick([...notText, null, undefined]) },
    { type: 'input_audio', input_audio: { data: random.weirdText(), format: 'wav' } },
    { type: 'file', file: { file_id: random.weirdText() } },
    { type: 'image_url', image_url: random.pick([0, true, [], {}, null, undefined, { url: 5 }]) },
    random.pick([0, true, 'x', null, []]),
  ]);
  const role = random.pick(['user', 'system', 'developer']);
  return withMessage(random, 'a wrong part', { role, content: [{ type: 'text', text: 'x' }, part] });
}

function wrongImage(random: Random): MalformedBody {
  const junk = Buffer.from(Array.from({ length: 3 * (1 + random.number(20)) }, () => random.number(256)));
  const url = random.pick([
    `${random.pick(['http', 'https', 'HTTP', 'ftp', 'file', 'blob', 'javascript'])}://${random.weirdText()}/a.png`,
    `${random.pick(['file:', '/', './', '\\\\', ''])}${random.weirdText()}`,
    `data:image/png;base64,${random.pick(['', '=', '====', 'a', '!!!!', random.weirdText()])}`,
    `data:image/png;base64,${Buffer.from(`not an image ${junk.toString('hex')}`).toString('base64')}`,
    `data:image/${random.pick(['png', 'svg+xml', 'tiff', 'bmp'])};base64,AAAA${junk.toString('base64')}`,
    `data:image/png,${random.weirdText()}`,
    `data:${random.weirdText()};base64,AAAA`,
  ]);
  const image_url = random.pick<Json>([url, { url }, { url, detail: 'high' }]);
  return withMessage(random, 'a wrong image', { role: 'user', content: [{ type: 'image_url', image_url }] });
}

function wrongFormat(random: Random): MalformedBody {
  const name = random.weirdText();
  const object = (more: object) => ({ type: 'object', ...more });
  const schema = random.pick<Json>([
    random.pick(['string', 'array', 'number', 'null', 'Object', '', 7, null, ['array']].map((type) => ({ type }))),
    object({ properties: { [name]: { type: random.pick(['text', 'int', '', 7, {}, [], ['nothing']]) } } }),
    object({ properties: { [name]: { $ref: random.pick(['#/$defs/gone', '#/nowhere', 'https://example.org/s']) } } }),
    object({ properties: random.pick([1, 'x', [1], { a: 1 }, { a: 'string' }]) }),
    object({ properties: { [name]: { type: 'string', pattern: random.pick(['(', '[', '*a', '(?<']) } } }),
    object({ required: random.pick(['a', 1, [1], [{}], {}]) }),
    object({ [random.pick(['minProperties', 'maxProperties'])]: random.pick([-1, 'x', 1.5, {}]) }),
    object({ properties: { [name]: random.pick([{ enum: [] }, { enum: 'a' }, { minimum: 'x' }, { multipleOf: 0 }]) } }),
    object({ unevaluatedProperties: false }),
    object({
      properties: nested({ type: 'string' }, 100 + random.number(100), (inner) => object({ properties: { inner } })),
    }),
    random.pick([0, true, 'x', [], [object({})]]),
  ]);
  const response_format = { type: 'json_schema', json_schema: { name: 'answer', schema } };
  return whole('response_format', 'a wrong schema', { ...decorated(random), response_format });
}

/** A beginning of a JSON object is never JSON, nor is one with something after it. */
function brokenJson(random: Random): MalformedBody {
  const text = JSON.stringify(decorated(random));
  const middle = 1 + random.number(text.length - 1);
  const broken = random.pick([
    text.slice(0, middle),
    text + random.pick([',', '}', ']', '"', '{}', 'x', '\u0000', text]),
    text.replaceAll('"', "'"),
    text.replace('{', '{,'),
    text.replace(':', random.pick(['=', '::', ' ', ':NaN,"x":', ':undefined,"x":', ':0x10,"x":', ':01,"x":'])),
    text.replace('"messages"', random.pick(['messages', '"mess\nages"', '"messages\\x"', '"messages\\u12"'])),
    `${random.pick(['// note\n', '/* note */', '<?xml version="1.0"?>', 'data: ', ")]}'", '\u0000'])}${text}`,
  ]);
  return { what: 'broken JSON', text: broken, field: undefined };
}

function noObject(random: Random): MalformedBody {
  const value = random.pick<Json>([
    ...[null, true, false, random.number(1e9), -random.number(1e9) / 7, random.weirdText(), []],
    ...[[decorated(random)], JSON.stringify(decorated(random)), Array.from({ length: random.number(50) }, () => null)],
  ]);
  return { what: 'no object', text: random.pick(['', ' ', '\n']) + JSON.stringify(value), field: undefined };
}

function deepNesting(random: Random): MalformedBody {
  const tooDeep = random.number(2) === 0;
  const depth = tooDeep ? 1000 + random.number(4000) : 100 + random.number(100);
  const [open, close] = random.pick([
    ['[', ']'],
    ['{"a":', '}'],
    ['{"content":[', ']}'],
  ] as const);
  const deep = `${open.repeat(depth)}1${close.repeat(depth)}`;
  const [field, text] = random.pick([
    [undefined, random.pick([`[${deep}]`, open.repeat(depth)])],
    ['messages', `{"model":"haiku","messages":${random.pick([`[${deep}]`, deep])}}`],
    ['messages', `{"messages":[{"role":"user","content":${deep}}]}`],
    ['stop', `{"messages":[{"role":"user","content":"hi"}],"stop":[${deep}]}`],
  ] as const);
  return { what: 'deep nesting', text, field: tooDeep ? undefined : field };
}

/** A right body, at times with fields besides that have no say in the matter. */
function decorated(random: Random): Body {
  const body = random.pick(validBodies());
  const extra = random.number(3) === 0 ? { [random.weirdText()]: random.weirdText() } : {};
  return { ...extra, ...body, user: `user ${random.number(1e6)}` };
}

function withMessage(random: Random, what: string, message: Json): MalformedBody {
  const body = decorated(random);
  const messages = [...(body['messages'] as Json[])];
  messages.splice(random.number(messages.length + 1), 0, message);
  return whole('messages', `${what}: ${shown(message)}`, { ...body, messages });
}

function whole(field: string, what: string, body: Body): MalformedBody {
  return { what, text: JSON.stringify(body), field };
}

function nested(leaf: Json, depth: number, wrap: (inner: Json) => Json): Json {
  let value = leaf;
  for (let level = 0; level < depth; level += 1) value = wrap(value);
  return value;
}

function shown(value: Json): string {
  return (JSON.stringify(value) ?? 'absent').slice(0, 200);
}
