/** Jobs on a store of a test, run by a script instead of an agent. */
import assert from 'node:assert/strict';
import { createSlots } from '../../src/admission/slots.ts';
import type { ExecuteChat } from '../../src/jobs/claimed-chat.ts';
import type { ExecuteJob } from '../../src/jobs/claimed-job.ts';
import { createJobs, type Jobs, type JobsOptions, type JobView } from '../../src/jobs/jobs.ts';
import type { CallbackReport, JobState } from '../../src/store/job.ts';
import type { JobStore } from '../../src/store/job-store.ts';
import type { Outcome } from '../../src/task.ts';
import { jobSpec } from './job-engines.ts';
import { waitUntil } from './wait-until.ts';

export type TestJobs = Jobs & { callbacksTried: CallbackReport[]; troubles: unknown[] };

export async function startJobs(
  store: JobStore,
  execute: ExecuteJob | undefined,
  given: Partial<JobsOptions> & { capacity?: number } = {},
  executeChat?: ExecuteChat,
): Promise<TestJobs> {
  const { capacity = 2, ...options } = given;
  const callbacksTried: CallbackReport[] = [];
  const troubles: unknown[] = [];
  const places = createSlots({ capacity, maxQueued: 0, waitMs: 1000 });
  const jobs = await createJobs({
    store,
    ...(execute && { worker: { places, execute, ...(executeChat && { executeChat }) } }),
    defaults: { limits: jobSpec().limits, maxBudgetUsd: 100, onInterrupt: 'mark' },
    maxWaiting: 100,
    tenants: { maxWaitingPerKey: 100, reserved: 0 },
    maxAttempts: 3,
    events: { maxEvents: 1000, maxBytes: 1_000_000 },
    retention: { ttlMs: 3_600_000, maxJobs: 1000, maxBytes: 1_000_000_000 },
    callbacks: { secretOf: () => 'secret', allowPrivate: true, render: (job) => ({ id: job.id, state: job.state }) },
    log: {
      trouble: (error) => troubles.push(error),
      recovered: () => {},
      callbackTried: (_job, report) => callbacksTried.push(report),
    },
    ...options,
  });
  return Object.assign(jobs, { callbacksTried, troubles });
}

export function outcome(text: string): Outcome {
  return { text, models: {}, turns: 1, durationMs: 1, stopReason: 'end_turn' };
}

/** Settles when the signal aborts, with its reason. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}

/** The job when it has ended. */
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
