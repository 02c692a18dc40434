/** Turns an agent's result message into the outcome of the run, or throws the error that the message reports. */
import { ServiceError } from '../errors.ts';
import type { ModelUsage, Outcome, Task } from '../task.ts';
import { type Ending, failureOfResult, stoppedByHook } from './failure.ts';
import { type AgentResult, sumUsage } from './protocol/result.ts';
import type { Turn } from './turn.ts';

/**
 * Returns the outcome of a run. Throws a `ServiceError` if the result is an error, `blocked_by_hook` if a hook stopped
 * the turn, and `invalid_output` if the task has an output schema and the result contains no object.
 *
 * A refusal by the model is not an error here, although the CLI marks it as an error: the `stopReason` of the outcome
 * is `refusal`, and its text is the reason that the CLI gives.
 * @param options `before` is the result of the process's previous turn. Its tokens and cost are subtracted, because the
 * CLI counts them from the process's start. `fallbackText` is the answer if the result has no text.
 */
export function outcomeOf(
  task: Task,
  turn: Turn,
  result: AgentResult,
  options: { ending?: Ending; before?: AgentResult; fallbackText?: string } = {},
): Outcome {
  const spent = spentIn(turn, result, options.before);
  const refused = result.stopReason === 'refusal';
  if ((result.isError && !refused) || result.subtype.startsWith('error_')) {
    throw failureOfResult(task, turn, result, spent, options.ending);
  }
  if (turn.stoppedByHook || result.terminalReason === 'hook_stopped') throw stoppedByHook(spent);
  const answer = () =>
    task.outputSchema ? objectOf(result, spent) : turn.answer(result.text ?? options.fallbackText ?? '');
  return {
    ...spent,
    text: refused ? result.text || result.errors.join('; ') : answer(),
    durationMs: result.durationMs,
    stopReason: result.stopReason === 'other' ? 'end_turn' : result.stopReason,
    exitCode: options.ending?.exit.code ?? undefined,
  };
}

/** Returns the figures of a turn, also of one that failed. `before` is the result of the process's previous turn. */
export function spentIn(turn: Turn, result: AgentResult, before?: AgentResult) {
  const models = modelsSince(result, before);
  const modelUsages = Object.values(models);
  const denials = turn.denials(result);
  return {
    usage: modelUsages.length > 0 ? sumUsage(modelUsages) : result.usage,
    costUsd: result.costUsd === undefined ? undefined : less(result.costUsd, before?.costUsd ?? 0),
    models,
    turns: result.turns,
    ...(denials && { denials }),
    sessionId: result.sessionId,
  };
}

/** Returns the JSON of the object that the agent gave. Throws `invalid_output` if it gave none. */
function objectOf({ structured }: AgentResult, spent: ServiceError['extra']['spent']): string {
  if (typeof structured === 'object' && structured !== null && !Array.isArray(structured)) {
    return JSON.stringify(structured);
  }
  const message = 'Cannot use the answer: the agent gave no object in the requested format';
  throw new ServiceError('invalid_output', message, { spent });
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
    inputTokens: less(now.inputTokens, then.inputTokens),
    cacheReadTokens: less(now.cacheReadTokens, then.cacheReadTokens),
    cacheWriteTokens: less(now.cacheWriteTokens, then.cacheWriteTokens),
    outputTokens: less(now.outputTokens, then.outputTokens),
    costUsd: less(now.costUsd, then.costUsd),
  };
}

/** Returns the difference of two totals of a process, which the CLI may have counted from 0 again in between. */
function less(now: number, then: number): number {
  return Math.max(0, now - then);
}
