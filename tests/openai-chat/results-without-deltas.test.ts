/** Answers whose text, or a part of it, comes only with the agent's result: a stream holds all of it, or an error. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { askFor, readEvents, type Script, startScriptedService } from '../support/scripted-agent.ts';

type Chunk = { choices?: { delta: { content?: string } }[]; error?: { code: string } };

const large = 'x'.repeat(3 * 1024 * 1024);
const tool = { name: 'Bash', input: {}, result: 'r' };

const cases: [title: string, script: Script, streamed: string | { error: string }][] = [
  ['a result without deltas', { say: [], result: { result: 'only here' } }, 'only here'],
  ['a large result without deltas', { say: [], result: { result: large } }, large],
  ['a result that is too large', { say: [], result: { result: large + large } }, { error: 'output_too_large' }],
  [
    'a result that is too large after a text',
    { say: ['a '], result: { result: large + large } },
    { error: 'output_too_large' },
  ],
  [
    'a text before a tool call, and the result without deltas',
    { before: 'first', tool, say: [], result: { result: 'last' } },
    'first\n\nlast',
  ],
  ['a result with another text than the deltas', { say: ['said'], result: { result: 'other' } }, 'said\n\nother'],
];

describe('a stream of', () => {
  for (const [title, script, expected] of cases) {
    test(title, async (t) => {
      const service = await startScriptedService(t);
      // The large texts are in the script, so the request must be allowed to be that long.
      const answer = await service.chat('/openai/v1', askFor(script, { stream: true }));
      const events = await readEvents(answer);
      const chunks = events.filter((event): event is Chunk => event !== '[DONE]');
      const text = chunks.map((chunk) => chunk.choices?.[0]?.delta.content ?? '').join('');
      const error = chunks.find((chunk) => chunk.error)?.error?.code;
      if (typeof expected === 'string') {
        assert.equal(error, undefined);
        assert.ok(text === expected, `${text.length} characters: ${text.slice(0, 100)}`);
        assert.equal(events.at(-1), '[DONE]');
      } else {
        assert.equal(error, expected.error);
        assert.notEqual(events.at(-1), '[DONE]');
      }
    });
  }
});
