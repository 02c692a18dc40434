/** Judges an agent's own account of a turn: a good outcome, or the error that it tells of. */
import { ServiceError } from '../errors.ts';
import type { ModelUsage, Outcome, Task } from '../task.ts';
import { type Ending, failureOfResult } from './failure.ts';
import { type AgentResult, sumUsage } from './protocol/result.ts';

/**
 * @param before the account of the process's previous turn: the CLI counts tokens and cost from the process's start
 * @param fallbackText for a result without text
 */
export function outcomeOf(
  task: Task,
  result: AgentResult,
  options: { ending?: Ending; before?: AgentResult; fallbackText?: string } = {},
): Outcome {
  const models = modelsSince(result, options.before);
  const modelUsages = Object.values(models);
  const spent = {
    usage: modelUsages.length > 0 ? sumUsage(modelUsages) : result.usage,
    costUsd: result.costUsd === undefined ? undefined : Math.max(0, result.costUsd - (options.before?.costUsd ?? 0)),
    models,
    turns: result.turns,
    sessionId: result.sessionId,
  };
  // The CLI marks a refusal as an error; over the native API it is one, elsewhere it is an answer that was filtered.
  const refused = result.stopReason === 'refusal' && task.reuse !== 'none';
  if ((result.isError && !refused) || result.subtype.startsWith('error_')) {
    throw failureOfResult(result, spent, options.ending);
  }
  if (task.outputSchema && result.structured === undefined && !refused) {
    throw new ServiceError('invalid_output', 'The agent gave no answer in the format that was asked for', { spent });
  }
  return {
    ...spent,
    text:
      result.structured !== undefined ? JSON.stringify(result.structured) : (result.text ?? options.fallbackText ?? ''),
    structured: result.structured,
    durationMs: result.durationMs,
    stopReason: result.stopReason === 'other' ? 'end_turn' : result.stopReason,
    exitCode: options.ending?.exit.code ?? undefined,
  };
}

function modelsSince(result: AgentResult, before?: AgentResult): Record<string, ModelUsage> {
  const entries = Object.entries(result.models).map(([name, now]): [string, ModelUsage] => {
    const then = before?.models[name];
    return [name, then ? difference(now, then) : now];
  });
  return Object.fromEntries(entries.filter(([, usage]) => usage.inputTokens + usage.outputTokens > 0));
}

function difference(now: ModelUsage, then: ModelUsage): ModelUsage {
  return {
    inputTokens: now.inputTokens - then.inputTokens,
    cacheReadTokens: now.cacheReadTokens - then.cacheReadTokens,
    cacheWriteTokens: now.cacheWriteTokens - then.cacheWriteTokens,
    outputTokens: now.outputTokens - then.outputTokens,
    costUsd: Math.max(0, now.costUsd - then.costUsd),
  };
}
