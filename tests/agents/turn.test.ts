/** What a turn takes from the messages of the CLI: only its own events, its own text and its own result. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readMessage } from '../../src/agents/protocol/messages.ts';
import type { AgentResult } from '../../src/agents/protocol/result.ts';
import { Turn } from '../../src/agents/turn.ts';
import type { AgentEvent } from '../../src/task.ts';

type Line = Record<string, unknown>;

const stream = (event: Line): Line => ({ type: 'stream_event', event });
const asks = (...lines: string[]): Line => ({
  type: 'system',
  subtype: 'status',
  status: 'requesting',
  ...(lines.length > 0 && { user_message_uuids: lines }),
});
const begins = (id: string): Line => ({ type: 'command_lifecycle', command_uuid: id, state: 'started' });
const init: Line = { type: 'system', subtype: 'init', session_id: 's', model: 'm' };
const messageBegins = stream({ type: 'message_start' });
const messageEnds = (reason: string) => stream({ type: 'message_delta', delta: { stop_reason: reason } });
const part = (text: string) => stream({ type: 'content_block_delta', delta: { type: 'text_delta', text } });
const thought = (text: string) =>
  stream({ type: 'content_block_delta', delta: { type: 'thinking_delta', thinking: text } });
const assistant = (...content: Line[]): Line => ({ type: 'assistant', message: { content } });
const block = (text: string) => assistant({ type: 'text', text });
const call = (id: string) => assistant({ type: 'tool_use', id, name: 'Bash', input: {} });
const toolResult = (id: string): Line => ({
  type: 'user',
  message: { content: [{ type: 'tool_result', tool_use_id: id, content: 'done' }] },
});
const result = (text: string, more: Line = {}): Line => ({ type: 'result', subtype: 'success', result: text, ...more });
const ours = (text: string) => result(text, { user_message_uuids: ['mine'] });
const foreign = (text: string) => result(text, { origin: { kind: 'task-notification' } });
/** A text as the CLI sends it: in parts, then as a block. */
const says = (...words: string[]) => [...words.map(part), block(words.join(''))];

function read(lines: Line[], line: string | undefined = 'mine') {
  const events: AgentEvent[] = [];
  const turn = new Turn(line, (event) => events.push(event));
  let found: AgentResult | undefined;
  for (const each of lines) {
    const message = readMessage(JSON.stringify(each));
    assert.ok(message, JSON.stringify(each));
    const read = turn.read(message);
    found ??= read;
  }
  const answer = found && turn.answer(found.text ?? '');
  let streamed = '';
  for (const event of events) {
    if (event.type === 'text') streamed += event.text;
    if (event.type === 'text_dropped') streamed = streamed.slice(0, streamed.length - event.length);
  }
  return { answer, streamed, events, found, turn };
}

/** A turn that the CLI begins by itself, with every kind of output. */
const spontaneous = [
  init,
  asks(),
  messageBegins,
  thought('noticed'),
  ...says('the ', 'notice'),
  call('t0'),
  toolResult('t0'),
  foreign('the notice'),
];
const own = [begins('mine'), init, asks('mine'), messageBegins, ...says('my ', 'answer'), messageEnds('end_turn')];

describe('a turn that the CLI began by itself', () => {
  for (const [when, lines] of [
    ['before the turn', [...spontaneous, ...own, ours('my answer')]],
    ['after the turn', [...own, ours('my answer'), ...spontaneous]],
    ['before and after the turn', [...spontaneous, ...own, ours('my answer'), ...spontaneous]],
    ['twice before the turn', [...spontaneous, ...spontaneous, ...own, ours('my answer')]],
    ['after the turn, without its beginning,', [...own, ours('my answer'), ...spontaneous.slice(2, -1)]],
    ['without its beginning', [...spontaneous.slice(2), ...own, ours('my answer')]],
  ] as const) {
    test(`adds nothing to the answer if it comes ${when}`, () => {
      const { answer, streamed, found } = read([...lines]);
      assert.equal(answer, 'my answer');
      assert.equal(streamed, 'my answer');
      assert.deepEqual(found?.answers, ['mine']);
    });
  }

  test('has no events', () => {
    const { events } = read([...spontaneous, ...own, ours('my answer'), ...spontaneous]);
    assert.deepEqual(
      events.map(({ type }) => type),
      ['started', 'text', 'text'],
    );
  });

  test('takes the line in: what follows is the answer', () => {
    const joined = [...spontaneous.slice(0, -1), begins('mine'), asks('mine'), messageBegins, ...says('joined')];
    const shared = result('joined', { user_message_uuids: ['mine'], origin: { kind: 'task-notification' } });
    const { answer, streamed } = read([...joined, shared]);
    assert.deepEqual([answer, streamed], ['joined', 'joined']);
  });

  test('does not count as a question to the model', () => {
    assert.equal(read([...spontaneous]).turn.askedModel, false);
    assert.equal(read([...own]).turn.askedModel, true);
  });

  test('of an agent with its prompt on the command line comes after its result, and adds nothing', () => {
    const { answer, events } = read(
      [init, asks(), messageBegins, ...says('mine'), result('mine'), ...spontaneous],
      undefined,
    );
    assert.equal(answer, 'mine');
    assert.deepEqual(
      events.map(({ type }) => type),
      ['started', 'text'],
    );
  });
});

test('the result of an agent with its prompt on the command line may come after a turn that it began by itself', () => {
  const lines = [init, asks(), messageBegins, ...says('mine'), messageEnds('end_turn'), ...spontaneous.slice(0, -1)];
  const { answer, streamed } = read([...lines, result('mine'), foreign('the notice')], undefined);
  assert.deepEqual([answer, streamed], ['mine', 'mine']);
});

describe('the text', () => {
  const cases: [title: string, lines: Line[], answer: string, streamed?: string][] = [
    [
      'goes on after the limit of a message',
      [messageBegins, ...says('ha'), messageEnds('max_tokens'), messageBegins, ...says('lf'), ours('lf')],
      'half',
    ],
    [
      'goes on after a response that broke off between two blocks',
      [messageBegins, ...says('one'), messageBegins, ...says(' two'), ours(' two')],
      'one two',
    ],
    ['of two blocks is joined', [messageBegins, ...says('one'), ...says('two'), ours('two')], 'onetwo'],
    [
      'after the end of a message begins a paragraph',
      [messageBegins, ...says('one'), messageEnds('end_turn'), messageBegins, ...says('two'), ours('two')],
      'one\n\ntwo',
    ],
    [
      'is that since the last tool call',
      [messageBegins, ...says('before'), call('t'), toolResult('t'), messageBegins, ...says('after'), ours('after')],
      'after',
      'beforeafter',
    ],
    [
      'drops a block that broke off',
      [messageBegins, part('par'), part('tial'), messageBegins, ...says('whole'), ours('whole')],
      'whole',
    ],
    [
      'drops a block that broke off after a whole one',
      [messageBegins, ...says('kept'), part('lost'), messageBegins, ...says(' on'), ours(' on')],
      'kept on',
    ],
    [
      'drops a block that broke off at the beginning of a paragraph',
      [
        messageBegins,
        ...says('one'),
        messageEnds('end_turn'),
        messageBegins,
        part('lo'),
        messageBegins,
        ...says('two'),
        ours('two'),
      ],
      'one\n\ntwo',
    ],
    [
      'drops a block that broke off, if the answer comes without parts',
      [messageBegins, part('lost'), block('whole'), ours('whole')],
      'whole',
    ],
    [
      'drops a block that broke off before a message with only a tool call',
      [
        messageBegins,
        part('lost'),
        messageBegins,
        call('t'),
        toolResult('t'),
        messageBegins,
        ...says('after'),
        ours('after'),
      ],
      'after',
    ],
    ['comes without parts', [block('whole'), ours('whole')], 'whole'],
    [
      'comes without parts after a tool call',
      [messageBegins, ...says('before'), call('t'), toolResult('t'), block('after'), ours('after')],
      'after',
      'beforeafter',
    ],
    ['comes only with the result', [asks('mine'), ours('result')], 'result'],
    [
      'comes only with the result after a tool call',
      [messageBegins, ...says('before'), call('t'), toolResult('t'), ours('after')],
      'after',
      'beforeafter',
    ],
    [
      'is not repeated by a result after a last tool call',
      [messageBegins, ...says('before'), call('t'), toolResult('t'), ours('before')],
      'before',
    ],
    ['comes in parts without a block', [part('a'), part('b'), ours('ab')], 'ab'],
    ['may differ from its result in white space', [messageBegins, ...says('a', 'b\n'), ours('ab')], 'ab\n'],
    ['is empty if nothing was said', [asks('mine'), ours('')], ''],
  ];
  for (const [title, lines, answer, streamed = answer] of cases) {
    test(title, () => {
      const read_ = read([begins('mine'), ...lines]);
      assert.equal(read_.answer, answer);
      assert.equal(read_.streamed, streamed);
    });
  }

  test('of a sub-agent, and the sentence of the CLI about a failed request, are left out', () => {
    const sub = { ...block('sub'), parent_tool_use_id: 't' };
    const subPart = { ...part('sub'), parent_tool_use_id: 't' };
    const failed = {
      ...block('API Error: 529'),
      is_api_error_message: true,
      error: 'server_error',
      api_error_status: 529,
    };
    const { streamed, turn } = read([asks('mine'), sub, subPart, messageBegins, ...says('mine'), failed, ours('mine')]);
    assert.equal(streamed, 'mine');
    assert.deepEqual(turn.failure, { kind: 'server_error', status: 529 });
  });
});

test('a refused tool call has its input from the result and its reason from the moment of the refusal', () => {
  const denied = {
    type: 'system',
    subtype: 'permission_denied',
    tool_name: 'Bash',
    tool_use_id: 't',
    decision_reason: 'nobody to ask',
  };
  const denials = {
    permission_denials: [{ tool_name: 'Bash', tool_use_id: 't', tool_input: { command: `x${'😀'.repeat(400)}` } }],
  };
  const { turn, found, events } = read([asks('mine'), denied, { ...ours('x'), ...denials }]);
  assert.ok(found);
  const [denial] = turn.denials(found) ?? [];
  assert.equal(denial?.reason, 'nobody to ask');
  assert.ok(denial.input?.startsWith('{"command":"x😀'));
  assert.ok(denial.input?.isWellFormed(), 'the input is cut between two characters');
  assert.deepEqual(events[0], { type: 'denied', id: 't', tool: 'Bash', reason: 'nobody to ask' });
});
