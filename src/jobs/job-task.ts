/** What a job asks of an agent, and what its run left, in the words of either side. */
import type { ServiceError } from '../errors.ts';
import type { EndState, JobEnd, JobRecord } from '../store/job.ts';
import type { Outcome, Task } from '../task.ts';

export function taskOf(job: JobRecord): Task {
  const { runMs, stallMs, budgetUsd } = job.limits;
  return {
    // A later attempt may begin while the folders of an earlier one still lie about.
    id: job.attempt === 1 ? job.id : `${job.id}-${job.attempt}`,
    kind: 'job',
    owner: job.owner,
    model: job.model,
    ...(job.agent !== undefined && { agent: job.agent }),
    ...(job.effort !== undefined && { effort: job.effort }),
    reuse: 'prewarmed',
    messages: [{ role: 'user', blocks: [{ type: 'text', text: job.prompt }] }],
    limits: { runMs, stallMs, budgetUsd },
  };
}

export function endOfOutcome(outcome: Outcome): Omit<JobEnd, 'output'> {
  return {
    state: 'completed',
    stderr: '',
    result: storable(outcome.text),
    models: outcome.models,
    turns: outcome.turns,
    exitCode: outcome.exitCode ?? 0,
    ...(outcome.usage && { usage: outcome.usage }),
    ...(outcome.costUsd !== undefined && { costUsd: outcome.costUsd }),
    ...(outcome.sessionId !== undefined && { sessionId: outcome.sessionId }),
  };
}

export function endOfError({ code, message, extra }: ServiceError): Omit<JobEnd, 'output'> {
  return {
    state: stateOf(code),
    stderr: storable(extra.stderr ?? ''),
    error: { code, message },
    ...(extra.exitCode !== undefined && { exitCode: extra.exitCode }),
    ...extra.spent,
  };
}

function stateOf(code: ServiceError['code']): EndState {
  switch (code) {
    case 'agent_timeout':
    case 'agent_stalled':
    case 'wait_timeout':
      return 'timeout';
    case 'cancelled':
      return 'cancelled';
    case 'interrupted':
    case 'shutting_down':
      return 'interrupted';
    default:
      return 'failed';
  }
}

/** A text column of PostgreSQL takes no NUL and no half of a surrogate pair. */
export function storable(text: string): string {
  return text.replaceAll('\0', '\uFFFD').toWellFormed();
}
