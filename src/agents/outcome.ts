/** Turns the result message of an agent into the outcome of the run, or throws the error that it reports. */
import { ServiceError } from '../errors.ts';
import type { ModelUsage, Outcome, Task } from '../task.ts';
import { type Ending, failureOfResult } from './failure.ts';
import { type AgentResult, sumUsage } from './protocol/result.ts';

/**
 * The outcome of a run by the agent's result message. Throws a `ServiceError` for a result that is an error, and
 * `invalid_output` when the task has an output schema and the agent gave no object.
 *
 * A refusal of the model is no error here, although the CLI marks it as one: its `stopReason` is `refusal`, and its text
 * is the reason that the CLI gives.
 * @param before the result of the process's previous turn: the CLI counts tokens and cost from the process's start
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
  const refused = result.stopReason === 'refusal';
  if ((result.isError && !refused) || result.subtype.startsWith('error_')) {
    throw failureOfResult(result, spent, options.ending);
  }
  if (task.outputSchema && !isObject(result.structured)) {
    throw new ServiceError(
      'invalid_output',
      'Cannot use the answer: the agent gave no object in the format asked for',
      {
        spent,
      },
    );
  }
  const text = refused ? result.text || result.errors.join('; ') : (result.text ?? options.fallbackText ?? '');
  return {
    ...spent,
    text: task.outputSchema ? JSON.stringify(result.structured) : text,
    durationMs: result.durationMs,
    stopReason: result.stopReason === 'other' ? 'end_turn' : result.stopReason,
    exitCode: options.ending?.exit.code ?? undefined,
  };
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
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
