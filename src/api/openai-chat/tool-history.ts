/** Makes past tool calls fit the rule of the Messages API: each call is followed by its result. */
import type { Block, Message } from '../../task.ts';

type Call = Extract<Block, { type: 'tool_use' }>;
type Result = Extract<Block, { type: 'tool_result' }>;

/**
 * Gives every `tool_use` a unique, well-formed id, and puts its result first in the next message. A call without a
 * result, or a result without a call, becomes text: clients cut histories anywhere, and the model API refuses such
 * blocks.
 */
export function pairTools(messages: Message[]): Message[] {
  const ids = new FreeIds();
  const paired = messages.map((message) => ({ ...message, blocks: [...message.blocks] }));
  for (const [at, message] of paired.entries()) {
    const previous = paired[at - 1];
    if (message.role === 'assistant') message.blocks = looseEnds(message.blocks, paired[at + 1]);
    else message.blocks = withResults(message.blocks, previous?.role === 'assistant' ? previous : undefined, ids);
  }
  return paired;
}

/** Turns a call into text if the next message has no result for it, or if its id occurs twice. */
function looseEnds(blocks: Block[], next: Message | undefined): Block[] {
  const unmatched = new Set(next?.blocks.filter(isResult).map((result) => result.toolUseId));
  return blocks.map((block) =>
    isCall(block) && !unmatched.delete(block.id) ? { type: 'text', text: callText(block) } : block,
  );
}

/** Puts the results first, and renames the calls of the message before, so that no id occurs twice in the conversation. */
function withResults(blocks: Block[], previous: Message | undefined, ids: FreeIds): Block[] {
  const calls = new Map(previous?.blocks.filter(isCall).map((call) => [call.id, call]));
  const renamed = new Map<Block, Call>();
  const results: Block[] = [];
  const rest: Block[] = [];
  for (const block of blocks) {
    if (!isResult(block)) {
      rest.push(block);
      continue;
    }
    const call = calls.get(block.toolUseId);
    if (!call) {
      rest.push({ type: 'text', text: resultText(block) });
      continue;
    }
    calls.delete(block.toolUseId);
    const id = ids.take(call.id);
    renamed.set(call, { ...call, id });
    results.push({ ...block, toolUseId: id });
  }
  if (previous) previous.blocks = previous.blocks.map((block) => renamed.get(block) ?? block);
  return [...results, ...rest];
}

/**
 * Gives each call an id that no other call of the conversation has. The same id may be wanted thousands of times, since
 * the older functions have no ids.
 */
class FreeIds {
  readonly #taken = new Set<string>();
  readonly #counts = new Map<string, number>();

  take(wanted: string): string {
    const base = wanted.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 60);
    let count = this.#counts.get(base) ?? 1;
    let id = base;
    while (this.#taken.has(id)) {
      count += 1;
      id = `${base}_${count}`;
    }
    this.#counts.set(base, count);
    this.#taken.add(id);
    return id;
  }
}

export function callText(call: Call): string {
  return `(called the tool ${call.name} with ${JSON.stringify(call.input)})`;
}

export function resultText(result: Result): string {
  return `Result of the tool call ${result.toolUseId}: ${result.text}`;
}

function isCall(block: Block): block is Call {
  return block.type === 'tool_use';
}

function isResult(block: Block): block is Result {
  return block.type === 'tool_result';
}
