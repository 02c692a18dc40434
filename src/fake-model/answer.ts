/** Plans the answer of the fake model to a request: the next part of the script, or a sentence about the fake model. */

import { startOf } from '../truncate.ts';
import { exampleOf } from './example.ts';
import {
  type ApiUsage,
  type ContentBlock,
  lastAsked,
  lastToolResult,
  type MessagesRequest,
  systemText,
} from './messages-api.ts';
import { parseScript, type Step, stepsDue } from './script.ts';

export type Failure = { status: number; type: string; message: string; headers?: Record<string, string> };

/**
 * A part of an answer. A silence, an error or a cut before the first block takes effect before the headers are sent.
 */
export type Part =
  | { do: 'block'; block: Extract<ContentBlock, { type: 'text' | 'thinking' | 'tool_use' }> }
  | { do: 'silence'; ms: number }
  | { do: 'fail'; failure: Failure }
  | { do: 'stall' }
  | { do: 'cut'; text?: string }
  | { do: 'unended'; text?: string };

export type Answer = { parts: Part[]; stopReason: string; usage: ApiUsage };

/** The tool that the CLI offers when the answer must satisfy a JSON Schema. */
const structuredOutputTool = 'StructuredOutput';

/**
 * Returns the answer to a request.
 * @param failuresSoFar how many scripted errors were sent for each user text; this function updates it
 * @param nextId returns an id for a tool call
 */
export function planAnswer(request: MessagesRequest, failuresSoFar: Map<string, number>, nextId: () => string): Answer {
  const asked = lastAsked(request.messages);
  const script = parseScript(asked.text);
  const due = script.length > 0 ? stepsDue(script, asked.answersSince) : unscripted(request);
  const answer: Answer = { parts: [], stopReason: 'end_turn', usage: countUsage(request) };
  for (const step of due) addStep(answer, step, { request, nextId, failuresSoFar, key: asked.text });
  if (!answer.parts.some(isContent) && answer.stopReason !== 'refusal') {
    const text = script.length > 0 ? closingSentence(request) : plainSentence(request, asked.text);
    answer.parts.push({ do: 'block', block: { type: 'text', text } });
  }
  answer.usage.output_tokens ||= tokens(answer.parts.filter((part) => part.do === 'block'));
  return answer;
}

/**
 * Returns the steps for a question without a script: an example value if the answer must satisfy a schema, else none.
 */
function unscripted(request: MessagesRequest): Step[] {
  const format = request.tools?.find((tool) => tool.name === structuredOutputTool)?.input_schema;
  return format && lastToolResult(request.messages) === undefined ? [{ do: 'json', value: exampleOf(format) }] : [];
}

type Context = {
  request: MessagesRequest;
  nextId: () => string;
  failuresSoFar: Map<string, number>;
  key: string;
};

function addStep(answer: Answer, step: Step, context: Context): void {
  const block = (added: Extract<Part, { do: 'block' }>['block']) => answer.parts.push({ do: 'block', block: added });
  switch (step.do) {
    case 'say':
      block({ type: 'text', text: step.text });
      return;
    case 'think':
      block({ type: 'thinking', thinking: step.text, signature: 'scripted' });
      return;
    case 'tool':
      block({ type: 'tool_use', id: context.nextId(), name: step.name, input: step.input });
      answer.stopReason = 'tool_use';
      return;
    case 'json': {
      const offered = context.request.tools?.some((tool) => tool.name === structuredOutputTool);
      if (offered) addStep(answer, { do: 'tool', name: structuredOutputTool, input: step.value }, context);
      else block({ type: 'text', text: JSON.stringify(step.value) });
      return;
    }
    case 'error': {
      const given = context.failuresSoFar.get(context.key) ?? 0;
      if (given >= step.times) return;
      context.failuresSoFar.set(context.key, given + 1);
      answer.parts.push({ do: 'fail', failure: step });
      return;
    }
    case 'cut':
    case 'unended':
      // The CLI repeats the request if the response breaks off within a block. The rest of the script follows then.
      if (step.text !== undefined && alreadyFailed(context, step.text)) return;
      answer.parts.push(step);
      return;
    case 'limit':
      answer.parts.push({ do: 'fail', failure: usageLimit(step.seconds) });
      return;
    case 'silence':
    case 'stall':
      answer.parts.push(step);
      return;
    case 'stop':
      answer.stopReason = step.reason;
      return;
    case 'usage':
      answer.usage = {
        input_tokens: step.tokens.input ?? 0,
        cache_read_input_tokens: step.tokens.cache_read ?? 0,
        cache_creation_input_tokens: step.tokens.cache_write ?? 0,
        output_tokens: step.tokens.output ?? 0,
      };
      return;
    default:
      step satisfies never;
  }
}

/** Returns whether this was called before for the same user text and the same `what`. */
function alreadyFailed({ failuresSoFar, key }: Context, what: string): boolean {
  const name = `${key}\n${what}`;
  const before = failuresSoFar.has(name);
  failuresSoFar.set(name, 1);
  return before;
}

/** The CLI reads these headers only if it uses a login, and not if it uses an API key. */
function usageLimit(seconds: number): Failure {
  const reset = String(Math.floor(Date.now() / 1000) + seconds);
  const prefix = 'anthropic-ratelimit-unified';
  const headers = {
    [`${prefix}-status`]: 'rejected',
    [`${prefix}-reset`]: reset,
    [`${prefix}-representative-claim`]: 'five_hour',
    [`${prefix}-5h-utilization`]: '1',
    [`${prefix}-5h-reset`]: reset,
  };
  return { status: 429, type: 'rate_limit_error', message: 'The usage limit is reached', headers };
}

/** Returns whether a part counts as an answer. If no part does, a sentence is added. */
function isContent(part: Part): boolean {
  return part.do !== 'silence';
}

function plainSentence(request: MessagesRequest, asked: string): string {
  const offered = request.tools?.length ?? 0;
  const messages = request.messages.filter((message) => message.role !== 'system').length;
  return [
    'This is the fake model, which follows a script: no language model was asked.',
    `The agent sent your text, "${shorten(asked.trim(), 200)}",`,
    `in a conversation of ${messages === 1 ? 'one message' : `${messages} messages`}, and offered ${offered} tools.`,
  ].join(' ');
}

function closingSentence(request: MessagesRequest): string {
  const result = lastToolResult(request.messages);
  return result === undefined ? 'The script is over.' : `Done. The tool answered: ${shorten(result.trim(), 200)}`;
}

function shorten(text: string, limit: number): string {
  return text.length > limit ? `${startOf(text, limit)}...` : text;
}

/**
 * Returns plausible token counts, computed from the request alone: instructions and tools count as read from the cache,
 * and the history counts as written to it.
 */
function countUsage(request: MessagesRequest): ApiUsage {
  // The CLI adds messages of the role `system` (its environment, its tools) to the conversation.
  const messages = request.messages.filter((message) => message.role !== 'system');
  return {
    input_tokens: tokens(messages.at(-1)),
    cache_creation_input_tokens: tokens(request.messages) - tokens(messages.at(-1)),
    cache_read_input_tokens: tokens([systemText(request), request.tools ?? []]),
    output_tokens: 0,
  };
}

/** Estimates the number of tokens in a value: about one token for four characters, as in English text. */
export function tokens(value: unknown): number {
  return Math.ceil((JSON.stringify(value)?.length ?? 0) / 4);
}
