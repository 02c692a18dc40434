/** Token counts in OpenAI's terms: the prompt includes tokens read from and written to the cache. */
import type { Usage } from '../../task.ts';

export type CompletionUsage = {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: { cached_tokens: number; cache_write_tokens: number };
};

/** Clients need the three counts in every answer. If the agent reported none they are 0, and `agent.cost_usd` is null. */
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
