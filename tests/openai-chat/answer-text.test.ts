/** The text that a stream makes of the events of a run, and its end. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AnswerText, type AnswerTextOptions, usedEvents } from '../../src/api/openai-chat/answer-text.ts';
import { completionOf } from '../../src/api/openai-chat/completion.ts';
import type { Outcome, RunEvent } from '../../src/task.ts';

const plain: AnswerTextOptions = { stop: [], agentEvents: new Set(), formatted: false };
const all: AnswerTextOptions = { ...plain, agentEvents: new Set(['tools', 'thinking']) };

const text = (value: string): RunEvent => ({ type: 'text', text: value });
const call: RunEvent = { type: 'tool_call', id: 't', name: 'Bash', input: { command: 'ls' } };
const result: RunEvent = { type: 'tool_result', id: 't', isError: false, text: 'a\n  b' };

function outcome(value: string, more: Partial<Outcome> = {}): Outcome {
  return { text: value, models: {}, turns: 1, durationMs: 1, stopReason: 'end_turn', ...more };
}

type Case = {
  what: string;
  options: AnswerTextOptions;
  events: RunEvent[];
  outcome: Outcome;
  content: string;
  reasoning?: string;
  finish?: string;
};

const cases: Case[] = [
  {
    what: 'text as it arrives',
    options: plain,
    events: [text('Hel'), text('lo')],
    outcome: outcome('lo'),
    content: 'Hello',
  },
  {
    what: 'the text of the outcome, if no text came before',
    options: plain,
    events: [],
    outcome: outcome('Hello'),
    content: 'Hello',
  },
  {
    what: 'text after a tool as a new paragraph',
    options: plain,
    events: [text('Let me look.'), call, result, text('Two files.')],
    outcome: outcome('Two files.'),
    content: 'Let me look.\n\nTwo files.',
  },
  {
    what: 'no new paragraph before the first text',
    options: plain,
    events: [call, result, text('Two files.')],
    outcome: outcome('Two files.'),
    content: 'Two files.',
  },
  {
    what: 'tools and thinking as reasoning, on request',
    options: all,
    events: [{ type: 'thinking', text: 'Hm.' }, call, result, text('Two.')],
    outcome: outcome('Two.'),
    content: 'Two.',
    reasoning: 'Hm.\nBash {"command":"ls"}\ndone: a b\n',
  },
  {
    what: 'a tool that failed, and a retry of the model',
    options: all,
    events: [
      { type: 'tool_result', id: 't', isError: true, text: 'no' },
      { type: 'retry', attempt: 2, maxAttempts: 10, delayMs: 5 },
    ],
    outcome: outcome('x'),
    content: 'x',
    reasoning: 'failed: no\n\nThe model API failed; retry 2 of 10\n',
  },
  {
    what: 'no tools and no thinking without that request',
    options: plain,
    events: [{ type: 'thinking', text: 'Hm.' }, call, result, text('Two.')],
    outcome: outcome('Two.'),
    content: 'Two.',
  },
  {
    what: 'the object alone, when a schema was given',
    options: { ...plain, formatted: true },
    events: [text('Here it is:'), text('{"a":')],
    outcome: outcome('{"a":1}'),
    content: '{"a":1}',
  },
  {
    what: 'no text from a stop text on, with any cuts between the pieces',
    options: { ...plain, stop: ['END'] },
    events: [text('one E'), text('N'), text('D two')],
    outcome: outcome('one END two'),
    content: 'one ',
  },
  {
    what: 'the beginning of a stop text that does not continue as one',
    options: { ...plain, stop: ['END'] },
    events: [text('one EN')],
    outcome: outcome('one EN'),
    content: 'one EN',
  },
  {
    what: 'an answer that was cut as `length`',
    options: plain,
    events: [],
    outcome: outcome('x', { stopReason: 'max_tokens' }),
    content: 'x',
    finish: 'length',
  },
  {
    what: 'a refusal as `content_filter`',
    options: plain,
    events: [],
    outcome: outcome('no', { stopReason: 'refusal' }),
    content: 'no',
    finish: 'content_filter',
  },
];

describe('a stream shows', () => {
  for (const { what, options, events, outcome: end, content, reasoning = '', finish = 'stop' } of cases) {
    test(what, () => {
      const answer = new AnswerText(options);
      const concluded = [events.map((event) => answer.pieceOf(event)), answer.conclude(end)] as const;
      const pieces = [...concluded[0], concluded[1].piece];
      const shown = (channel: 'content' | 'reasoning') =>
        pieces.map((piece) => (piece?.channel === channel ? piece.text : '')).join('');
      assert.deepEqual([shown('content'), shown('reasoning'), concluded[1].finish], [content, reasoning, finish]);
    });
  }

  test('long tool inputs and results cut short, never inside a character', () => {
    const answer = new AnswerText(all);
    const piece = answer.pieceOf({
      type: 'tool_result',
      id: 't',
      isError: false,
      text: `${'x'.repeat(299)}😀 and more`,
    });
    assert.ok(piece?.text.isWellFormed());
    assert.ok((piece?.text.length ?? 0) < 320);
  });
});

test('a whole answer has the fields of OpenAI, and what the run cost', () => {
  const head = { id: 'chatcmpl-1', created: 5, model: 'gpt-4o' };
  const used = { inputTokens: 10, cacheReadTokens: 200, cacheWriteTokens: 3000, outputTokens: 7 };
  const end = outcome('one END two', {
    usage: used,
    costUsd: 0.25,
    sessionId: 's',
    models: { sonnet: { ...used, costUsd: 0.25 } },
  });
  const usage = {
    prompt_tokens: 3210,
    completion_tokens: 7,
    total_tokens: 3217,
    prompt_tokens_details: { cached_tokens: 200, cache_write_tokens: 3000 },
  };
  assert.deepEqual(completionOf(head, end, ['END']), {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 5,
    model: 'gpt-4o',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'one ', refusal: null },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    usage,
    agent: {
      session_id: 's',
      cost_usd: 0.25,
      turns: 1,
      denials: [],
      duration_ms: 1,
      models: { sonnet: { ...usage, cost_usd: 0.25 } },
    },
  });
  const unknown = completionOf(head, outcome('x'), []) as { usage: object; agent: object };
  assert.deepEqual(unknown.usage, {
    prompt_tokens: 0,
    completion_tokens: 0,
    total_tokens: 0,
    prompt_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
  });
  assert.deepEqual(unknown.agent, {
    session_id: null,
    cost_usd: null,
    turns: 1,
    denials: [],
    duration_ms: 1,
    models: {},
  });
});

for (const [stream, options, used] of [
  ['a stream without agent events', plain, { text: 'whole', text_dropped: 'whole', tool_call: 'brief' }],
  [
    'a stream that shows tools',
    { ...plain, agentEvents: new Set(['tools']) },
    {
      text: 'whole',
      text_dropped: 'whole',
      tool_call: 'whole',
      tool_result: 'whole',
      tool_progress: 'whole',
      retry: 'whole',
      denied: 'whole',
    },
  ],
  ['a stream with a schema', { ...plain, formatted: true }, { tool_call: 'brief' }],
] as [string, AnswerTextOptions, Record<string, string>][]) {
  test(`${stream} keeps only the events that it uses`, () => {
    assert.deepEqual(Object.fromEntries(usedEvents(options)), used);
  });
}
