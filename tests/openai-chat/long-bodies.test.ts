/** A body within the limits is read in time that grows with its length, not with the square of it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readConversation } from '../../src/api/openai-chat/conversation.ts';
import { type ChatMessage, chatRequestShape } from '../../src/api/openai-chat/request-shape.ts';
import { firstFault } from '../../src/api/parse-body.ts';
import { jsonLimits } from '../../src/http/json-bounds.ts';
import type { Block } from '../../src/task.ts';

const hello: ChatMessage = { role: 'user', content: 'hi' };

function list<T>(count: number, item: (at: number) => T): T[] {
  return Array.from({ length: count }, (_, at) => item(at));
}

/** A call of the older kind, which has no id, and its result. */
function functionCall(name: string): ChatMessage[] {
  return [
    { role: 'assistant', function_call: { name, arguments: '{}' } },
    { role: 'function', name, content: 'done' },
  ];
}

function callWith(id: string, input: string): ChatMessage[] {
  return [
    { role: 'assistant', tool_calls: [{ id, function: { name: 'f', arguments: input } }] },
    { role: 'tool', tool_call_id: id, content: 'done' },
  ];
}

function blocksOf<T extends Block['type']>(messages: ChatMessage[], type: T): Extract<Block, { type: T }>[] {
  const blocks = readConversation([hello, ...messages]).messages.flatMap((message) => message.blocks);
  return blocks.filter((block): block is Extract<Block, { type: T }> => block.type === type);
}

/** Each case takes a second of CPU time, or more than a minute if its time is quadratic. CPU time does not depend on other processes. */
function quick<T>(work: () => T): T {
  const before = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 20_000_000, `it took ${(user + system) / 1e6} s of CPU time`);
  return result;
}

describe('a long history', () => {
  test('with the same id in every call keeps each call with its result', () => {
    const messages = list(30_000, () => functionCall('f')).flat();
    const ids = quick(() => blocksOf(messages, 'tool_use').map(({ id }) => id));
    assert.equal(new Set(ids).size, 30_000);
    assert.deepEqual(ids.slice(0, 3), ['function_f', 'function_f_2', 'function_f_3']);
    const results = blocksOf(messages, 'tool_result').map(({ toolUseId }) => toolUseId);
    assert.deepEqual(results, ids);
  });

  test('gets no id twice, with any ids of the caller', () => {
    const given = ['a', 'a', 'a_2', 'a_2', 'a', 'a_2_2', 'a_3', 'a', 'a!', 'a?'];
    const ids = blocksOf(
      given.flatMap((id) => callWith(id, '{}')),
      'tool_use',
    ).map(({ id }) => id);
    assert.equal(new Set(ids).size, given.length);
  });

  test('with many calls at once keeps each with its result', () => {
    const ids = list(80_000, (at) => `c${at}`);
    const calls: ChatMessage = {
      role: 'assistant',
      tool_calls: ids.map((id) => ({ id, function: { name: 'f', arguments: '{}' } })),
    };
    const results = ids.map((id): ChatMessage => ({ role: 'tool', tool_call_id: id, content: 'done' }));
    const read = quick(() => blocksOf([calls, ...results.reverse()], 'tool_use'));
    assert.deepEqual(
      read.map(({ id }) => id),
      ids,
    );
    assert.equal(blocksOf([calls, ...results], 'tool_result').length, 80_000);
  });
});

describe('the arguments of a call', () => {
  const inputOf = (text: string) => blocksOf(callWith('c', text), 'tool_use')[0]?.input;

  test('are an object, or text under a name', () => {
    assert.deepEqual(inputOf('{"a":[1]}'), { a: [1] });
    assert.deepEqual(inputOf(''), {});
    for (const text of ['[1]', 'no', '{"a":']) assert.deepEqual(inputOf(text), { arguments: text });
  });

  test('stay text where they hold more values than a body may', () => {
    const deep = `{"a":${'['.repeat(jsonLimits.depth)}${']'.repeat(jsonLimits.depth)}}`;
    const many = JSON.stringify({ a: list(jsonLimits.items, () => 1) });
    for (const text of [deep, many, '['.repeat(1_000_000)]) assert.deepEqual(inputOf(text), { arguments: text });
    assert.equal((inputOf(deep.replace('[]', '')) as { arguments?: string }).arguments, undefined);
  });

  test('stay text where earlier arguments have used up the limit', () => {
    const half = JSON.stringify({ a: list(jsonLimits.items / 2, () => 1) });
    const inputs = blocksOf([...callWith('a', half), ...callWith('b', half), ...callWith('c', '{"a":1}')], 'tool_use');
    assert.deepEqual(
      inputs.map(({ input }) => Object.keys(input as object)),
      [['a'], ['arguments'], ['a']],
    );
  });
});

describe('many wrong values', () => {
  const wrong = list(1000, () => 1);
  for (const [field, value] of Object.entries({
    messages: wrong,
    tools: wrong,
    logit_bias: Object.fromEntries(wrong.map((_, at) => [`k${at}`, 'x'])),
    modalities: wrong,
  })) {
    test(`in ${field} are one error`, () => {
      const parsed = chatRequestShape.safeParse({ messages: [hello], [field]: value }, firstFault);
      assert.equal(parsed.error?.issues.length, 1);
      assert.equal(parsed.error.issues[0]?.path[0], field);
    });
  }

  test('in the parts of a message are one error', () => {
    const parsed = chatRequestShape.safeParse({ messages: [{ role: 'user', content: wrong }] }, firstFault);
    assert.equal(JSON.stringify(parsed.error?.issues).match(/invalid_type/g)?.length, 2);
  });
});
