/** Thousands of generated bodies that are wrong somewhere: each is the client's mistake, none starts an agent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requirement } from '../contract/requirements.ts';
import { startScriptedService } from '../support/scripted-agent.ts';

const rounds = 2200;

type Random = (below: number) => number;

/** The same bodies in every run. */
function randomFrom(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const wrongValues: unknown[] = [
  ...[0, 1.5, -7, 1e308, true, false, '', 'x', 'constructor', '\u0000', '\ud800', [], {}, [[]], [null], { a: 1 }],
  ...[
    ['x'],
    [{}],
    { type: 'x' },
    [{ type: 'text' }],
    [{ type: 'image_url', image_url: 'http://x/' }],
    'a'.repeat(2000),
  ],
];

/** Members that no value above suits. */
const membersThatMatter: [path: string[], suits: (value: unknown) => boolean][] = [
  [['messages'], () => false],
  [['messages', '0'], () => false],
  [['messages', '0', 'role'], () => false],
  [['messages', '0', 'content'], (value) => typeof value === 'string'],
  [['messages', '1', 'tool_calls'], (value) => Array.isArray(value) && value.length === 0],
  [['messages', '1', 'tool_calls', '0', 'function', 'arguments'], (value) => typeof value === 'string'],
  [['messages', '2', 'tool_call_id'], (value) => typeof value === 'string' && value !== ''],
  [['model'], () => false],
  [['stream'], (value) => typeof value === 'boolean'],
  [['n'], () => false],
  [['temperature'], (value) => value === 0 || value === 1.5],
  [['max_tokens'], () => false],
  [
    ['stop'],
    (value) => typeof value === 'string' || (Array.isArray(value) && value.every((item) => typeof item === 'string')),
  ],
  [
    ['tools'],
    (value) => Array.isArray(value) && value.every((item) => typeof item === 'object' && item && !Array.isArray(item)),
  ],
  [['tool_choice'], () => false],
  [['response_format'], () => false],
  [['response_format', 'type'], () => false],
  [['response_format', 'json_schema', 'schema'], () => false],
  [['reasoning_effort'], () => false],
  [
    ['logit_bias'],
    (value) =>
      typeof value === 'object' && !Array.isArray(value) && Object.values(value as object).every(Number.isFinite),
  ],
  [['seed'], (value) => typeof value === 'number' && Number.isInteger(value)],
];

function goodBody() {
  const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } };
  return {
    model: 'haiku',
    messages: [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: 'c', content: 'x' },
    ],
    response_format: { type: 'json_schema', json_schema: { name: 's', schema: { type: 'object' } } },
  };
}

/** A good body with one member made wrong, or cut short, or with a byte changed where that breaks it. */
function badBody(random: Random): string {
  const body = goodBody();
  const text = JSON.stringify(body);
  switch (random(4)) {
    case 0:
      return text.slice(0, random(text.length));
    case 1:
      return text.replace(/[{}[\]:]/g, (mark) => (random(4) === 0 ? '"' : mark)).concat(random(2) === 0 ? '}' : ']');
    default: {
      const [path, suits] = membersThatMatter[random(membersThatMatter.length)] ?? [[], () => false];
      const unsuited = wrongValues.filter((value) => !suits(value));
      set(body, path, unsuited[random(unsuited.length)]);
      return JSON.stringify(body);
    }
  }
}

function set(target: unknown, path: string[], value: unknown): void {
  const [head = '', ...rest] = path;
  const parent = target as Record<string, unknown>;
  if (rest.length === 0) parent[head] = value;
  else set(parent[head], rest, value);
}

test(requirement(['item-62', 'item-6', 'item-10', 'C-10', 'C-11']), async (t) => {
  const service = await startScriptedService(t);
  const random = randomFrom(20_260_801);
  for (let round = 0; round < rounds; round += 1) {
    const body = badBody(random);
    const door = random(2) === 0 ? '/v1' : '/openai/v1';
    const response = await service.post(`${door}/chat/completions`, body);
    const text = await response.text();
    assert.equal(response.status, 400, `${door} ${body} -> ${response.status} ${text}`);
    assert.ok('error' in JSON.parse(text));
  }
  assert.deepEqual(service.starts(), []);
  const health = (await (await service.get('/health')).json()) as { active: number; queued: number };
  assert.deepEqual([health.active, health.queued], [0, 0]);
});
