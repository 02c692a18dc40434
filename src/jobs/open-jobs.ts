/** Opens the job store and starts what runs jobs in this process, both from the settings. */
import type { Slots } from '../admission/slots.ts';
import type { Config } from '../config/config.ts';
import type { ServiceError } from '../errors.ts';
import { createRemoteRun, type RunRemotely } from '../runs/remote-run.ts';
import type { JobRecord } from '../store/job.ts';
import { openJobStore } from '../store/open-store.ts';
import type { Owner } from '../task.ts';
import type { Telemetry } from '../telemetry.ts';
import { loadRootSecret } from '../webhooks/root-secret.ts';
import { webhookSecretOf } from '../webhooks/secret.ts';
import { type ExecuteTask, runIdOf } from './claimed-job.ts';
import { createJobs, type Jobs } from './jobs.ts';

export type JobStageOptions = {
  config: Config;
  telemetry: Telemetry;
  /** All API keys. The root secret of the webhooks must not be one of them. */
  keys: string[];
  /** The owner of the operator's key. Undefined if there is no such key. */
  operator?: Owner;
  slots: Pick<Slots, 'acquire'>;
  execute: ExecuteTask;
  /** Returns why an agent cannot start now, as far as that is known without an attempt. */
  notReady(): Promise<ServiceError | undefined>;
  /** Renders a job's record in the words of the API, for webhooks. */
  render(job: JobRecord): unknown;
  /** Removes the kept patch of a run, which is outside the store. */
  forget(runId: string): Promise<void>;
};

export type JobStage = {
  jobs: Jobs;
  /** Runs chat requests on other machines. Undefined if no other machine shares the store. */
  remotely?: RunRemotely;
};

/** Recovers the jobs of an earlier process, then starts. Throws an Error with one line if the store cannot be opened. */
export async function openJobs(options: JobStageOptions): Promise<JobStage> {
  const { config, telemetry, keys, operator, slots, execute } = options;
  const store = await openJobStore({
    dataDir: config.dataDir,
    databaseUrl: config.databaseUrl,
    workerTimeoutMs: config.workerTimeoutSeconds * 1000,
    onError: telemetry.storeError,
    log: { failed: telemetry.storeFailed, works: telemetry.storeWorks },
  });
  const root = await loadRootSecret(config, store, keys).catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  const shared = config.databaseUrl !== undefined;
  const jobs = await createJobs({
    store,
    ...(config.role !== 'gateway' && { worker: { slots, execute, chats: shared, check: options.notReady } }),
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
    ownerLimits: {
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
      const attempts = Array.from({ length: config.maxJobAttempts }, (_, index) => index + 1);
      await Promise.all(ids.flatMap((id) => attempts.map((attempt) => options.forget(runIdOf({ id, attempt })))));
    },
    log: {
      error: telemetry.storeError,
      recovered: telemetry.jobsRecovered,
      webhookSent: telemetry.webhookSent,
      onHeld: telemetry.jobsHeld,
      onFreed: telemetry.jobsFreed,
    },
  });
  if (!shared) return { jobs };
  const waits = { maxQueued: config.maxQueuedRuns, waitMs: config.queueTimeoutSeconds * 1000 };
  return { jobs, remotely: createRemoteRun(store, waits) };
}

/** Returns the default of RESERVED_WAITING_JOBS: 5 % of the queue, at most 50. */
function usualReserve(maxWaiting: number): number {
  return Math.min(50, Math.floor(maxWaiting / 20));
}
