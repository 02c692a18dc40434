/** Builds the jobs from the settings: the store, and what runs jobs in this process. */
import type { Slots } from '../admission/slots.ts';
import type { Config } from '../config/config.ts';
import { createElsewhere, type RunElsewhere } from '../runs/elsewhere.ts';
import type { JobRecord } from '../store/job.ts';
import { openJobStore } from '../store/open-store.ts';
import type { Owner } from '../task.ts';
import type { Telemetry } from '../telemetry.ts';
import { loadRootSecret } from '../webhooks/root-secret.ts';
import { webhookSecretOf } from '../webhooks/secret.ts';
import type { ExecuteTask } from './claimed-job.ts';
import { createJobs, type Jobs } from './jobs.ts';

export type JobStageOptions = {
  config: Config;
  telemetry: Telemetry;
  /** All keys; the root of the webhook secrets must not be one of them. */
  keys: string[];
  /** Absent: no key is the operator's. */
  operator?: Owner;
  slots: Pick<Slots, 'acquire'>;
  execute: ExecuteTask;
  /** A job's record in the words of the API, for webhooks. */
  render(job: JobRecord): unknown;
  /** Removes what is kept of a job outside the store. */
  forget(jobId: string): Promise<void>;
};

export type JobStage = {
  jobs: Jobs;
  /** Present when other machines share the store. */
  elsewhere?: RunElsewhere;
};

/** Recovers what an earlier process left, then starts. Throws an Error with one line when the store cannot be opened. */
export async function openJobs(options: JobStageOptions): Promise<JobStage> {
  const { config, telemetry, keys, operator, slots, execute } = options;
  const store = await openJobStore({
    dataDir: config.dataDir,
    databaseUrl: config.databaseUrl,
    workerTimeoutMs: config.workerTimeoutSeconds * 1000,
    onError: telemetry.storeError,
  });
  const root = await loadRootSecret(config, store, keys).catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  const shared = config.databaseUrl !== undefined;
  const jobs = await createJobs({
    store,
    ...(config.role !== 'gateway' && { worker: { slots, execute, chats: shared } }),
    defaults: {
      ...(config.jobAgent ? { agent: config.jobAgent } : {}),
      limits: {
        runMs: config.jobTimeoutSeconds * 1000,
        stallMs: config.jobStallSeconds * 1000,
        waitMs: config.jobWaitSeconds * 1000,
        budgetUsd: config.jobBudgetUsd,
      },
      onInterrupt: config.onInterrupt,
    },
    ...(operator !== undefined && { operator }),
    maxWaiting: config.maxWaitingJobs,
    tenants: {
      maxWaitingPerKey: config.maxWaitingJobsPerKey,
      reserved: config.reservedWaitingJobs ?? usualReserve(config.maxWaitingJobs),
    },
    maxAttempts: config.maxJobAttempts,
    events: { maxEvents: config.maxJobEvents, maxBytes: config.maxJobEventBytes },
    retention: { ttlMs: config.jobTtlHours * 3_600_000, maxJobs: config.maxJobsKept, maxBytes: config.maxJobsBytes },
    webhooks: {
      secretOf: (owner) => webhookSecretOf(root, owner),
      allowPrivate: config.callbackAllowPrivate,
      render: options.render,
    },
    onRemoved: async (ids) => {
      await Promise.all(ids.map(options.forget));
    },
    log: {
      error: telemetry.storeError,
      recovered: telemetry.jobsRecovered,
      webhookSent: telemetry.webhookSent,
    },
  });
  if (!shared) return { jobs };
  const waits = { maxQueued: config.maxQueuedRuns, waitMs: config.queueTimeoutSeconds * 1000 };
  return { jobs, elsewhere: createElsewhere(store, waits) };
}

/** The default of RESERVED_WAITING_JOBS; a short queue has no reserve. */
function usualReserve(maxWaiting: number): number {
  return Math.min(50, Math.floor(maxWaiting / 20));
}
