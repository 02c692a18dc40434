/** One run of one job: from its claim to its end in the store. */
import { asServiceError, ServiceError } from '../errors.ts';
import type { JobEnd, JobEventBody, JobRecord } from '../store/job.ts';
import type { Claim, JobStore } from '../store/job-store.ts';
import type { AgentEvent, Outcome, SyncReport, Task, WorkspaceResult } from '../task.ts';
import { ClaimedRun } from './claimed-run.ts';
import type { Run } from './dispatcher.ts';
import { endOfError, endOfOutcome, storable, taskOf } from './job-task.ts';
import { shortenEvent } from './shorten.ts';
import type { EventBounds, EventLog } from './stored-log.ts';

export type RunTools = {
  /** Aborted with a `ServiceError`: `cancelled`, or `interrupted` when the server stops or another has taken the job. */
  signal: AbortSignal;
  onEvent(event: AgentEvent): void;
  onSync(report: SyncReport): void;
  /** Told once, before this settles, also when the run failed. */
  onWorkspace(result: WorkspaceResult): void;
  job: JobRecord;
};

/** The path of a task, for a job that has its place already. */
export type ExecuteJob = (task: Task, tools: RunTools) => Promise<Outcome>;

/** Of the text that a job writes, in characters. */
const maxOutput = 1_000_000;

export type JobRunOptions = {
  execute: ExecuteJob;
  /** How many times one job may be started. */
  maxAttempts: number;
  events: EventBounds;
};

export function createJobRun(job: JobRecord, store: JobStore, { execute, maxAttempts, events }: JobRunOptions): Run {
  const claim: Claim = { id: job.id, attempt: job.attempt };
  const mayRunAgain = job.onInterrupt === 'requeue' && job.attempt < maxAttempts;
  return new ClaimedRun<JobEnd>({
    claim,
    lastSeq: job.events,
    bounds: events,
    append: (lastSeq, batch) => store.appendEvents(claim, lastSeq, batch),
    reasons: {
      cancelled: new ServiceError('cancelled', 'The job was cancelled while it ran'),
      stopping: new ServiceError('interrupted', 'Cannot finish the job: the server was stopped'),
      lost: new ServiceError('interrupted', 'Cannot finish the job: it was given to another worker'),
    },
    work: (signal, log) => workOn(job, execute, signal, log),
    write: (end) => (end.state === 'interrupted' && mayRunAgain ? store.requeue(claim) : store.finish(claim, end)),
  });
}

async function workOn(job: JobRecord, execute: ExecuteJob, signal: AbortSignal, log: EventLog): Promise<JobEnd> {
  let output = '';
  let sync: SyncReport | undefined;
  let workspace: WorkspaceResult | undefined;
  const tools: RunTools = {
    signal,
    job,
    onEvent: (event) => {
      const body: JobEventBody = { ...event };
      if (body.type === 'text' && output.length < maxOutput) output += body.text.slice(0, maxOutput - output.length);
      log.add(shortenEvent(body));
    },
    onSync: (report) => {
      sync = report;
      log.add({ type: 'workspace', sync: report });
    },
    onWorkspace: (result) => {
      workspace = result;
    },
  };
  const end = await ended(() => execute(taskOf(job), tools));
  return {
    ...end,
    output: storable(output || (end.result ?? '')),
    ...(sync && { sync }),
    ...(workspace && { workspace: storableWork(workspace) }),
  };
}

async function ended(run: () => Promise<Outcome>): Promise<Omit<JobEnd, 'output'>> {
  try {
    return endOfOutcome(await run());
  } catch (thrown) {
    return endOfError(asServiceError(thrown));
  }
}

function storableWork(result: WorkspaceResult): WorkspaceResult {
  return result.patch === undefined ? result : { ...result, patch: storable(result.patch) };
}
