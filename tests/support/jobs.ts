/** Jobs on the store of a test, with a script instead of an agent. */
import assert from 'node:assert/strict';
import { createSlots } from '../../src/admission/slots.ts';
import type { ExecuteTask } from '../../src/jobs/claimed-job.ts';
import type { HoldOptions } from '../../src/jobs/hold.ts';
import { createJobs, type Jobs, type JobsOptions, type JobView } from '../../src/jobs/jobs.ts';
import type { JobState, WebhookReport } from '../../src/store/job.ts';
import type { JobStore } from '../../src/store/job-store.ts';
import type { Outcome, RunEvent, Task, WorkspaceResult } from '../../src/task.ts';
import type { WorkspaceLease } from '../../src/workspaces/workspaces.ts';
import { jobSpec } from './job-engines.ts';
import { waitUntil } from './wait-until.ts';

export type TestJobs = Jobs & { webhooksSent: WebhookReport[]; errors: unknown[] };

/** Replaces a workspace and the agent in it. */
export type Script = (task: Task, tools: ScriptTools) => Promise<Outcome>;

export type ScriptTools = {
  signal: AbortSignal;
  emit(event: RunEvent): void;
  /** Sets the result that is collected from the workspace after the run. */
  leave(result: WorkspaceResult): void;
};

function executing(script: Script): ExecuteTask {
  return async (task, { slot, signal, emit, collect }) => {
    const release = await slot;
    let left: WorkspaceResult | undefined;
    let outcome: Outcome | undefined;
    try {
      outcome = await script(task, {
        signal,
        emit,
        leave: (result) => {
          left = result;
        },
      });
      return outcome;
    } finally {
      const result = left;
      if (result) await collect?.({ collect: async () => result } as WorkspaceLease, outcome);
      await release();
    }
  };
}

export async function startJobs(
  store: JobStore,
  script: Script | undefined,
  given: Partial<JobsOptions> & { capacity?: number; chats?: boolean; check?: HoldOptions['check'] } = {},
): Promise<TestJobs> {
  const { capacity = 2, chats = false, check = async () => undefined, ...options } = given;
  const webhooksSent: WebhookReport[] = [];
  const errors: unknown[] = [];
  const slots = createSlots({ capacity, maxQueued: 0, waitMs: 1000 });
  const jobs = await createJobs({
    store,
    ...(script && {
      worker: { slots, execute: executing(script), chats, check, retryMs: { firstMs: 10, longestMs: 50 } },
    }),
    defaults: { limits: jobSpec().limits, onInterrupt: 'mark' },
    maxWaiting: 100,
    ownerLimits: { maxWaitingPerKey: 100, reserved: 0 },
    maxAttempts: 3,
    events: { maxEvents: 1000, maxBytes: 1_000_000 },
    retention: { ttlMs: 3_600_000, maxJobs: 1000, maxBytes: 1_000_000_000 },
    webhooks: { secretOf: () => 'secret', allowPrivate: true, render: (job) => ({ id: job.id, state: job.state }) },
    log: {
      error: (error) => errors.push(error),
      recovered: () => {},
      webhookSent: (_job, report) => webhooksSent.push(report),
      onHeld: () => {},
      onFreed: () => {},
    },
    ...options,
  });
  return Object.assign(jobs, { webhooksSent, errors });
}

export function outcome(text: string): Outcome {
  return { text, models: {}, turns: 1, durationMs: 1, stopReason: 'end_turn' };
}

/** Rejects with the reason of the signal when it aborts. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}

/** Waits for the end of the job. */
export async function ended(jobs: Jobs, id: string): Promise<JobView> {
  for await (const _ of jobs.events(id, { signal: new AbortController().signal }));
  const job = await jobs.get(id);
  assert.ok(job);
  return job;
}

export async function reaches(jobs: Jobs, id: string, state: JobState): Promise<JobView> {
  return waitUntil(`the job is ${state}`, async () => {
    const job = await jobs.get(id);
    return job?.state === state ? job : undefined;
  });
}
