/** An outcome as a chat completion. */
import type { Outcome, StopReason } from '../../task.ts';
import { StopTexts } from './stop-texts.ts';
import { usageOf } from './usage.ts';

/** What all parts of one answer share. */
export type AnswerHead = {
  id: string;
  /** Seconds since 1970. */
  created: number;
  /** As the caller named it. */
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

/** An addition to OpenAI's fields, which its clients pass over: what the run was and cost. Null: not reported. */
export function agentFacts(outcome: Outcome): Record<string, unknown> {
  return {
    session_id: outcome.sessionId ?? null,
    cost_usd: outcome.costUsd ?? null,
    turns: outcome.turns,
    duration_ms: outcome.durationMs,
    models: Object.fromEntries(
      Object.entries(outcome.models).map(([name, used]) => [name, { ...usageOf(used), cost_usd: used.costUsd }]),
    ),
  };
}
