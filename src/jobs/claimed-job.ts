/** Runs one attempt of a job, from its claim to its end in the store. */

import { ServiceError } from '../errors.ts';
import type { Release } from '../releases.ts';
import type { ExecuteOptions } from '../runs/execute.ts';
import type { EventBounds } from '../runs/log-writer.ts';
import type { RunEnd } from '../runs/run.ts';
import { shortenEvent } from '../runs/shorten.ts';
import { cancelledWhileRunning, type EndState, type JobEnd, type JobRecord } from '../store/job.ts';
import type { JobStore } from '../store/job-store.ts';
import { mayRunAgain } from '../store/requeue.ts';
import type { Claim } from '../store/stored-run.ts';
import type { Outcome, SyncReport, Task, WorkspaceResult } from '../task.ts';
import { ClaimedRun } from './claimed-run.ts';
import { collectWork } from './collect.ts';

/** Runs a task, as `execute` in `runs/execute.ts` does. */
export type ExecuteTask = (task: Task, options: ExecuteOptions) => Promise<Outcome>;

export type ClaimedJobOptions = {
  store: JobStore;
  execute: ExecuteTask;
  /** How many attempts a job may have. */
  maxAttempts: number;
  events: EventBounds;
};

/** The end of a job that was cancelled while it ran. */
export const cancelledEnd = { state: 'cancelled', error: cancelledWhileRunning } as const;

/** The most characters that are kept of the text that a job writes. */
const maxOutput = 1_000_000;

/** What is collected of a job while it runs. */
type Left = { output: string; sync?: SyncReport; workspace?: WorkspaceResult };

/**
 * Starts the job.
 * @param slot the slot of the job, which is released at its end
 */
export function startClaimedJob(job: JobRecord, slot: Release, options: ClaimedJobOptions): ClaimedRun {
  const { store, execute, maxAttempts, events } = options;
  const claim: Claim = { id: job.id, attempt: job.attempt };
  const left: Left = { output: '' };
  return new ClaimedRun({
    claim,
    lastSeq: job.lastSeq,
    bounds: events,
    append: (lastSeq, batch) => store.appendEvents(claim, lastSeq, batch),
    reasons: {
      cancelled: new ServiceError('cancelled', cancelledWhileRunning.message),
      stopping: () => new ServiceError('interrupted', 'Cannot finish the job: the server was stopped'),
      lost: new ServiceError('interrupted', 'Cannot finish the job: it was given to another worker'),
    },
    work: ({ signal, emit }) =>
      execute(taskOf(job), {
        slot,
        signal,
        emit: (event) => {
          if (event.type === 'text') left.output += event.text.slice(0, maxOutput - left.output.length);
          if (event.type === 'workspace') left.sync = event.sync;
          // The state `running` tells readers of the job the same.
          if (event.type !== 'working') emit(shortenEvent(event));
        },
        settle: 'after_release',
        collect: async (workspace, outcome) => {
          left.workspace = await collectWork(workspace, job, outcome);
        },
      }),
    async write(runEnd) {
      const end = jobEnd(runEnd, left);
      const again = end.state === 'interrupted' && mayRunAgain(job, maxAttempts);
      if (!again) await store.finish(claim, end);
      // The job may have been cancelled since it was claimed.
      else if (!(await store.requeue(claim))) await store.finish(claim, { ...end, ...cancelledEnd });
    },
  });
}

function taskOf(job: JobRecord): Task {
  const { runMs, stallMs, budgetUsd } = job.limits;
  return {
    id: runIdOf(job),
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

/**
 * Returns the id of the run that is an attempt of a job. A later attempt may begin before the folders of an earlier one are
 * removed, so each has its own id.
 */
export function runIdOf({ id, attempt }: Claim): string {
  return attempt === 1 ? id : `${id}-${attempt}`;
}

function jobEnd(end: RunEnd, { output, sync, workspace }: Left): JobEnd {
  const ended = end.state === 'succeeded' ? endOfOutcome(end.outcome) : endOfError(end.error);
  return {
    ...ended,
    output: storable(output || (ended.result ?? '')),
    ...(sync && { sync }),
    ...(workspace && { workspace }),
  };
}

function endOfOutcome(outcome: Outcome): Omit<JobEnd, 'output'> {
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

function endOfError({ code, message, extra }: ServiceError): Omit<JobEnd, 'output'> {
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
function storable(text: string): string {
  return text.replaceAll('\0', '\uFFFD').toWellFormed();
}
