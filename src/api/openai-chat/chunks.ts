/** Renders the chunks of a streamed completion as JSON. Their common parts are rendered once per stream. */

import { jsonLine } from '../../http/sse.ts';
import type { Outcome } from '../../task.ts';
import { type AnswerHead, agentFacts, type FinishReason, usageOf } from './completion.ts';

export type Channel = 'content' | 'reasoning';

export type Chunks = {
  /** The first chunk, which names the role. */
  role: string;
  /** A valid chunk without content. */
  empty: string;
  text(channel: Channel, text: string): string;
  finish(reason: FinishReason, outcome: Outcome): string;
  /** Returns the chunk after `finish`. Returns `undefined` if the request did not ask for usage. */
  usage(outcome: Outcome): string | undefined;
};

export function createChunks(head: AnswerHead, includeUsage: boolean): Chunks {
  const { id, created, model } = head;
  const start = jsonLine({ id, object: 'chat.completion.chunk', created, model }).slice(0, -1);
  const open = `${start},"choices":[{"index":0,"delta":`;
  const rest = includeUsage ? ',"usage":null' : '';
  const close = `,"finish_reason":null}]${rest}}`;
  const before: Record<Channel, string> = {
    content: `${open}{"content":`,
    reasoning: `${open}{"reasoning_content":`,
  };
  const after = `}${close}`;
  return {
    role: `${open}{"role":"assistant","content":""}${close}`,
    empty: `${open}{}${close}`,
    text: (channel, text) => before[channel] + jsonLine(text) + after,
    finish: (reason, outcome) =>
      `${open}{},"finish_reason":"${reason}"}]${rest},"agent":${jsonLine(agentFacts(outcome))}}`,
    usage: (outcome) =>
      includeUsage ? `${start},"choices":[],"usage":${JSON.stringify(usageOf(outcome.usage))}}` : undefined,
  };
}
