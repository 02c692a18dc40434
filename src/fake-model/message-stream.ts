/** Writes an answer as the Messages API does: as server-sent events at a set pace, or as one message. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer, Part } from './answer.ts';

export type Pace = {
  /** The time before the first event, in milliseconds. */
  firstTokenMs: number;
  /** How many words are sent per second. With `Infinity`, they are sent as fast as the client reads. */
  tokensPerSecond: number;
};

export type Identity = { id: string; model: string };

type Block = Extract<Part, { do: 'block' }>['block'];

/** Thrown if the script says that the connection breaks before the end of the answer. */
export class CutShort extends Error {}

/** Yields the events of an answer, each ready to be written. Throws `CutShort`, or an AbortError if `signal` aborts. */
export async function* streamAnswer(
  answer: Answer,
  identity: Identity,
  pace: Pace,
  signal: AbortSignal,
): AsyncGenerator<string> {
  yield event('message_start', { message: { ...envelope(answer, identity), content: [], stop_reason: null } });
  yield event('ping', {});
  let index = 0;
  for (const part of answer.parts) {
    if (part.do === 'block') {
      yield* streamBlock(part.block, index, pace, signal);
      index += 1;
    } else if (part.do === 'fail') {
      yield event('error', { error: { type: part.failure.type, message: part.failure.message } });
      return;
    } else if (part.do === 'cut' || part.do === 'unended') {
      if (part.text !== undefined) yield* streamUnfinished(part.text, index);
      if (part.do === 'unended') return;
      throw new CutShort('scripted cut');
    } else {
      await halt(part, signal);
    }
  }
  yield event('message_delta', {
    delta: { stop_reason: answer.stopReason, stop_sequence: null },
    usage: answer.usage,
  });
  yield event('message_stop', {});
}

/** Returns an answer as one JSON message. Throws as `streamAnswer` does. Leaves out a scripted error after text. */
export async function wholeAnswer(answer: Answer, identity: Identity, signal: AbortSignal): Promise<string> {
  for (const part of answer.parts) if (isHalt(part)) await halt(part, signal);
  const content = answer.parts.flatMap((part) => (part.do === 'block' ? [part.block] : []));
  return JSON.stringify({ ...envelope(answer, identity), content });
}

type Halt = Extract<Part, { do: 'silence' | 'stall' | 'cut' }>;

export function isHalt(part: Part): part is Halt {
  return part.do === 'silence' || part.do === 'stall' || part.do === 'cut';
}

/** Waits as long as a silence or a stall lasts. Throws `CutShort` for a cut. */
export async function halt(part: Halt, signal: AbortSignal): Promise<void> {
  if (part.do === 'cut') throw new CutShort('scripted cut');
  if (part.do === 'silence') await sleep(part.ms, undefined, { signal });
  // A stall lasts until the connection ends. This is the longest time that a timer can take.
  if (part.do === 'stall') await sleep(2 ** 31 - 1, undefined, { signal });
}

function* streamUnfinished(text: string, index: number): Generator<string> {
  yield event('content_block_start', { index, content_block: { type: 'text', text: '' } });
  yield event('content_block_delta', { index, delta: { type: 'text_delta', text } });
}

async function* streamBlock(block: Block, index: number, pace: Pace, signal: AbortSignal): AsyncGenerator<string> {
  const delta = (content: object) => event('content_block_delta', { index, delta: content });
  yield event('content_block_start', { index, content_block: emptied(block) });
  for await (const word of paced(wordsOf(block), pace, signal)) yield delta(deltaOf(block, word));
  if (block.type === 'thinking') yield delta({ type: 'signature_delta', signature: block.signature });
  yield event('content_block_stop', { index });
}

/** Yields words at the pace. If a timer was late, the next word comes sooner. */
async function* paced(words: string[], pace: Pace, signal: AbortSignal): AsyncGenerator<string> {
  const start = performance.now();
  for (const [index, word] of words.entries()) {
    const due = start + (index / pace.tokensPerSecond) * 1000;
    const early = due - performance.now();
    if (early > 0.5) await sleep(early, undefined, { signal });
    yield word;
  }
}

function wordsOf(block: Block): string[] {
  const text =
    block.type === 'text' ? block.text : block.type === 'thinking' ? block.thinking : JSON.stringify(block.input);
  return text.match(/\s*\S+\s*$|\s*\S+/g) ?? [text];
}

function deltaOf(block: Block, word: string): object {
  switch (block.type) {
    case 'text':
      return { type: 'text_delta', text: word };
    case 'thinking':
      return { type: 'thinking_delta', thinking: word };
    case 'tool_use':
      return { type: 'input_json_delta', partial_json: word };
    default:
      return block satisfies never;
  }
}

function emptied(block: Block): Block {
  if (block.type === 'text') return { ...block, text: '' };
  if (block.type === 'thinking') return { ...block, thinking: '', signature: '' };
  return { ...block, input: {} };
}

function envelope(answer: Answer, { id, model }: Identity) {
  return {
    id,
    type: 'message',
    role: 'assistant',
    model,
    stop_reason: answer.stopReason,
    stop_sequence: null,
    usage: { ...answer.usage, service_tier: 'standard' },
  };
}

function event(type: string, fields: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
}
