/** Runs one attempt of a job, from its claim to its end in the store. */

import { asServiceError, ServiceError } from '../errors.ts';
import type { Release } from '../releases.ts';
import type { ExecuteOptions } from '../runs/execute.ts';
import type { EventBounds } from '../runs/log-writer.ts';
import type { RunEnd } from '../runs/run.ts';
import { shortenEvent } from '../runs/shorten.ts';
import { cancelledWhileRunning, type EndState, type JobEnd, type JobRecord, type Setbacks } from '../store/job.ts';
import type { JobStore } from '../store/job-store.ts';
import { mayRunAgain } from '../store/requeue.ts';
import type { Claim } from '../store/stored-run.ts';
import { WrittenText } from '../store/written-text.ts';
import type { Outcome, RunEvent, SyncReport, Task, WorkspaceResult } from '../task.ts';
import { ClaimedRun } from './claimed-run.ts';
import { collectWork } from './collect.ts';
import type { Hold } from './hold.ts';

/** Runs a task, as `execute` in `runs/execute.ts` does. */
export type ExecuteTask = (task: Task, options: ExecuteOptions) => Promise<Outcome>;

export type ClaimedJobOptions = {
  store: JobStore;
  hold: Pick<Hold, 'failed' | 'began'>;
  execute: ExecuteTask;
  /** How many attempts a job may have. */
  maxAttempts: number;
  events: EventBounds;
};

/** The end of a job that was cancelled while it ran. */
export const cancelledEnd = { state: 'cancelled', error: cancelledWhileRunning } as const;

/** What a running job has produced so far. */
type Left = {
  output: WrittenText;
  sync?: SyncReport;
  workspace?: WorkspaceResult;
  /** Whether the agent has begun to work, so that another attempt would do and cost the same again. */
  began: boolean;
  /** Set if the attempt failed for a cause that goes away, before the agent began to work. */
  setbacks?: Setbacks;
};

/**
 * Starts the job.
 * @param slot the slot of the job, which is released at its end
 */
export function startClaimedJob(job: JobRecord, slot: Release, options: ClaimedJobOptions): ClaimedRun {
  const { store, hold, execute, maxAttempts, events } = options;
  const claim: Claim = { id: job.id, attempt: job.attempt };
  const left: Left = { output: new WrittenText(), began: false };
  const began = () => {
    if (left.began) return;
    left.began = true;
    hold.began();
  };
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
    async work({ signal, emit }) {
      try {
        const outcome = await execute(taskOf(job), {
          slot,
          signal,
          emit: (event) => {
            left.output.read(event);
            if (event.type === 'workspace') left.sync = event.sync;
            if (isWork(event)) began();
            // Readers of the job see the state `running` instead.
            if (event.type !== 'working') emit(shortenEvent(event));
          },
          settle: 'after_release',
          collect: async (workspace, outcome) => {
            left.workspace = await collectWork(workspace, job, outcome);
          },
        });
        began();
        return outcome;
      } catch (thrown) {
        const error = asServiceError(thrown);
        if (isSetback(error, left.began)) {
          const waitMs = hold.failed(error, job.id, (job.emptyAttempts ?? 0) + 1);
          left.setbacks = setbacksAfter(job, error, store.now() + waitMs);
        }
        throw error;
      }
    },
    async write(runEnd) {
      const end = jobEnd(runEnd, left);
      const setbacks = end.state === 'interrupted' ? keptSetbacks(job, maxAttempts) : left.setbacks;
      if (!setbacks) await store.finish(claim, end);
      // The job may have been cancelled since it was claimed.
      else if (!(await store.requeue(claim, setbacks))) await store.finish(claim, { ...end, ...cancelledEnd });
    },
  });
}

/** Returns whether the event shows that the model has answered. */
function isWork({ type }: RunEvent): boolean {
  return type === 'text' || type === 'thinking' || type === 'tool_call';
}

/** Returns whether the attempt failed before any work, for a cause that goes away. */
function isSetback(error: ServiceError, began: boolean): boolean {
  return (
    !began && (error.goesAway || error.ofMachine) && stateOf(error.code) === 'failed' && !error.extra.spent?.costUsd
  );
}

function setbacksAfter(
  { emptyAttempts = 0, waitingFor }: JobRecord,
  { code, message }: ServiceError,
  notBefore: number,
): Setbacks {
  const since = waitingFor?.since ?? Date.now();
  return { emptyAttempts: emptyAttempts + 1, notBefore, waitingFor: { code, message, since } };
}

/** Returns the setbacks of an interrupted job that may wait again. Returns `undefined` if it must end. */
function keptSetbacks(job: JobRecord, maxAttempts: number): Setbacks | undefined {
  return mayRunAgain(job, maxAttempts) ? { emptyAttempts: job.emptyAttempts ?? 0 } : undefined;
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
    output: storable(output.text || (ended.result ?? '')),
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
    ...(outcome.denials && { denials: outcome.denials }),
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
