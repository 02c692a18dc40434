/** Renders an outcome as a chat completion. */
import type { Outcome, StopReason, Usage } from '../../task.ts';
import { StopTexts } from './stop-texts.ts';

/** The fields that every part of one answer repeats. */
export type AnswerHead = {
  id: string;
  /** The time of the request, in seconds since 1970. */
  created: number;
  /** The model as the caller named it. */
  model: string;
};

export type FinishReason = 'stop' | 'length' | 'content_filter';

export function completionOf(head: AnswerHead, outcome: Outcome, stop: string[]): Record<string, unknown> {
  const cut = new StopTexts(stop);
  const content = cut.push(outcome.text) + cut.end();
  return {
    id: head.id,
    object: 'chat.completion',
    created: head.created,
    model: head.model,
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content, refusal: null },
        logprobs: null,
        finish_reason: finishReasonOf(outcome.stopReason, cut.found),
      },
    ],
    usage: usageOf(outcome.usage),
    agent: agentFacts(outcome),
  };
}

export function finishReasonOf(reason: StopReason, cut: boolean): FinishReason {
  if (cut) return 'stop';
  switch (reason) {
    case 'max_tokens':
      return 'length';
    case 'refusal':
      return 'content_filter';
    case 'end_turn':
    case 'stop_sequence':
    case 'other':
      return 'stop';
  }
}

/**
 * Renders the field `agent`, which OpenAI does not have and its clients ignore. Values that the agent did not report
 * are null.
 */
export function agentFacts(outcome: Outcome): Record<string, unknown> {
  return {
    session_id: outcome.sessionId ?? null,
    cost_usd: outcome.costUsd ?? null,
    turns: outcome.turns,
    denials: outcome.denials ?? [],
    duration_ms: outcome.durationMs,
    models: Object.fromEntries(
      Object.entries(outcome.models).map(([name, used]) => [name, { ...usageOf(used), cost_usd: used.costUsd }]),
    ),
  };
}

/** Token counts as OpenAI defines them: the prompt includes tokens read from and written to the cache. */
export type CompletionUsage = {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: { cached_tokens: number; cache_write_tokens: number };
};

/** Renders token counts. Clients need all three counts in every answer, so they are 0 if the agent reported none. */
export function usageOf(usage: Usage | undefined): CompletionUsage {
  const { inputTokens = 0, cacheReadTokens = 0, cacheWriteTokens = 0, outputTokens = 0 } = usage ?? {};
  const prompt = inputTokens + cacheReadTokens + cacheWriteTokens;
  return {
    prompt_tokens: prompt,
    completion_tokens: outputTokens,
    total_tokens: prompt + outputTokens,
    prompt_tokens_details: { cached_tokens: cacheReadTokens, cache_write_tokens: cacheWriteTokens },
  };
}
