/** Rules for the pure parts of the API that must hold for any input, with generated input. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConversation } from '../../src/api/openai-chat/conversation.ts';
import { message } from '../../src/api/openai-chat/request-shape.ts';
import { StopTexts } from '../../src/api/openai-chat/stop-texts.ts';
import type { Message } from '../../src/task.ts';
import { requirement } from '../contract/requirements.ts';

/** Whole numbers from 0 to below `limit`, the same at every start. */
function randomFrom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** A model stops as soon as its text ends with a stop text. */
function cutCharacterByCharacter(text: string, stops: string[]): string {
  for (let end = 1; end <= text.length; end += 1) {
    const written = text.slice(0, end);
    const stop = stops.filter((candidate) => written.endsWith(candidate)).sort((a, b) => b.length - a.length)[0];
    if (stop !== undefined) return written.slice(0, -stop.length);
  }
  return text;
}

test(requirement('item-35', 'a text is cut at the same position for any split into pieces'), () => {
  const random = randomFrom(7);
  const word = (length: number) => Array.from({ length }, () => 'ab'[random(2)]).join('');
  for (let round = 0; round < 3000; round += 1) {
    const text = word(random(40));
    const stops = Array.from({ length: 1 + random(3) }, () => word(1 + random(5)));
    const expected = cutCharacterByCharacter(text, stops);
    const cut = new StopTexts(stops);
    let shown = '';
    for (let at = 0; at < text.length; ) {
      const size = 1 + random(4);
      shown += cut.push(text.slice(at, at + size));
      assert.ok(expected.startsWith(shown), 'nothing is shown that is to be cut');
      at += size;
    }
    assert.equal(shown + cut.end(), expected, `${text} at ${stops}`);
    assert.equal(cut.found, expected.length < text.length);
  }
});

/** The rules of the Messages API for a conversation. */
function assertWellFormed(messages: Message[]): void {
  assert.equal(messages[0]?.role, 'user');
  assert.equal(messages.at(-1)?.role, 'user');
  const ids = new Set<string>();
  for (const [at, message] of messages.entries()) {
    assert.notEqual(message.role, messages[at + 1]?.role, 'roles alternate');
    assert.ok(message.blocks.length > 0);
    const calls = message.blocks.flatMap((block) => (block.type === 'tool_use' ? [block.id] : []));
    const next = messages[at + 1]?.blocks ?? [];
    const results = next.flatMap((block) => (block.type === 'tool_result' ? [block.toolUseId] : []));
    assert.deepEqual(
      [...results].sort(),
      [...calls].sort(),
      'each call has its result in the next message, and no other',
    );
    const firstOther = next.findIndex((block) => block.type !== 'tool_result');
    assert.ok(firstOther === -1 || firstOther >= results.length, 'results come first');
    for (const id of calls) {
      assert.match(id, /^[A-Za-z0-9_-]+$/);
      assert.ok(!ids.has(id), 'ids are unique');
      ids.add(id);
    }
    for (const block of message.blocks) if (block.type === 'text') assert.notEqual(block.text.trim(), '');
  }
}

test(
  requirement(
    ['item-21', 'item-26'],
    'any history becomes one that the Messages API accepts, and no word of it is lost',
  ),
  () => {
    const random = randomFrom(11);
    const ids = ['a', 'a.1', 'b:2', 'c'];
    let words = 0;
    const say = () => (random(6) === 0 ? ' ' : `word${++words}.`);
    const make: (() => object)[] = [
      () => ({ role: 'user', content: say() }),
      () => ({
        role: 'user',
        content: [
          { type: 'text', text: say() },
          { type: 'text', text: say() },
        ],
      }),
      () => ({ role: 'assistant', content: say() }),
      () => ({ role: 'system', content: say() }),
      () => ({ role: 'tool', tool_call_id: ids[random(4)], content: say() }),
      () => ({ role: 'function', name: 'f', content: say() }),
      () => ({ role: 'assistant', function_call: { name: 'f', arguments: `{"x":"${say()}"}` } }),
      () => ({
        role: 'assistant',
        content: random(2) === 0 ? null : say(),
        tool_calls: Array.from({ length: 1 + random(3) }, () => ({
          id: ids[random(4)],
          type: 'function',
          function: { name: 'look at.it', arguments: random(2) === 0 ? `{"y":"${say()}"}` : say() },
        })),
      }),
    ];
    for (let round = 0; round < 3000; round += 1) {
      words = 0;
      const history = Array.from({ length: 1 + random(9) }, () => message.parse(make[random(make.length)]?.()));
      if (words === 0) history.push(message.parse({ role: 'user', content: `word${++words}.` }));
      const { system, messages } = readConversation(history);
      assertWellFormed(messages);
      const all = JSON.stringify([system, messages]);
      for (let word = 1; word <= words; word += 1)
        assert.ok(all.includes(`word${word}.`), `word${word} of ${JSON.stringify(history)}`);
    }
  },
);
