/** A stream whose reader is behind the run: it still ends in an error if text that it sent was dropped. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { usedEvents } from '../../src/api/openai-chat/answer-text.ts';
import { openaiChatApi } from '../../src/api/openai-chat/openai-chat-api.ts';
import { MemoryLog } from '../../src/runs/memory-log.ts';
import { Run } from '../../src/runs/run.ts';
import { outcome } from '../support/jobs.ts';

test('a stream that begins after the end of a run with dropped text ends in an error, without [DONE]', async () => {
  const agentEvents = new Set<never>();
  const log = new MemoryLog(usedEvents({ agentEvents, formatted: false }));
  const run = new Run('run', log, async ({ emit }) => {
    emit({ type: 'text', text: 'partial' });
    emit({ type: 'text_dropped', length: 7 });
    emit({ type: 'text', text: 'whole' });
    return outcome('whole');
  });
  assert.equal((await run.ended).state, 'succeeded');
  const view = { requestedModel: 'haiku', stop: [], includeUsage: false, formatted: false, agentEvents };
  const stream = openaiChatApi.stream?.(run, view, new AbortController().signal);
  assert.ok(stream);
  const frames: string[] = [];
  for await (const frame of stream) frames.push(frame);
  const text = frames.join('');
  assert.match(text, /broke off/);
  assert.match(text, /"code":"model_unavailable"/);
  assert.doesNotMatch(text, /\[DONE\]|finish_reason":"stop"/);
});
