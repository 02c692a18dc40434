/** Makes a job's wish whole: every default filled in, everything that cannot be met refused. */
import { createHash } from 'node:crypto';
import { ServiceError } from '../errors.ts';
import type { JobLimits, JobSpec, OnInterrupt } from '../store/job.ts';
import { callbackUrlProblem } from '../webhooks/address.ts';

/** What a caller gives; whatever is left out takes the default of the settings. */
export type JobRequest = Pick<JobSpec, 'prompt' | 'owner' | 'model'> &
  Partial<Omit<JobSpec, 'prompt' | 'owner' | 'model' | 'limits'>> & { limits?: Partial<JobLimits> };

/** `maxBudgetUsd`: what a job may ask for, at most. */
export type JobDefaults = { agent?: string; limits: JobLimits; maxBudgetUsd: number; onInterrupt: OnInterrupt };

/** The queue of the PostgreSQL engine lets no job run for more than a day. Milliseconds. */
const longestRunMs = 23 * 60 * 60 * 1000;
const maxKeyLength = 255;
const maxMetadataBytes = 64 * 1024;

/** What this caller may ask for. */
export type JobRights = { maxPriority: number; allowPrivateCallbacks: boolean };

/** Throws `invalid_request`. */
export function specOf(request: JobRequest, defaults: JobDefaults, rights: JobRights): JobSpec {
  const spec: JobSpec = {
    ...(defaults.agent !== undefined && { agent: defaults.agent }),
    priority: 0,
    onInterrupt: defaults.onInterrupt,
    ...request,
    limits: { ...defaults.limits, ...request.limits },
  };
  if (spec.prompt === '') refuse('prompt', 'it is empty');
  if (spec.prompt.includes('\0')) refuse('prompt', 'it holds a NUL character');
  if (!Number.isInteger(spec.priority) || Math.abs(spec.priority) > 9) {
    refuse('priority', 'it is not a whole number from -9 to 9');
  }
  // Or the jobs of one key would go before those of all others.
  if (spec.priority > rights.maxPriority)
    refuse('priority', "it is above 0, which only the operator's key may ask for");
  checkLimits(spec.limits, defaults.maxBudgetUsd);
  if (spec.idempotencyKey === '' || (spec.idempotencyKey?.length ?? 0) > maxKeyLength) {
    refuse('idempotencyKey', `it is not of 1 to ${maxKeyLength} characters`);
  }
  if (Buffer.byteLength(JSON.stringify(spec.metadata ?? {})) > maxMetadataBytes) {
    refuse('metadata', `it is over ${maxMetadataBytes} bytes`);
  }
  const problem = spec.callbackUrl !== undefined && callbackUrlProblem(spec.callbackUrl, rights.allowPrivateCallbacks);
  if (problem) refuse('callbackUrl', problem);
  return spec;
}

/** Of what was asked for, whatever the settings made of it: they may be others when the request is repeated. */
export function fingerprintOf(request: JobRequest): string {
  return createHash('sha256').update(JSON.stringify(request)).digest('base64url');
}

function checkLimits({ runMs, stallMs, waitMs, budgetUsd }: JobLimits, maxBudgetUsd: number): void {
  if (!(runMs > 0 && runMs <= longestRunMs)) refuse('limits.runMs', `it is not from 1 to ${longestRunMs}`);
  if (!(stallMs >= 0)) refuse('limits.stallMs', 'it is negative');
  if (!(waitMs >= 0)) refuse('limits.waitMs', 'it is negative');
  if (!(budgetUsd > 0)) refuse('limits.budgetUsd', 'it is not above 0');
  if (budgetUsd > maxBudgetUsd) {
    refuse('limits.budgetUsd', `it is ${budgetUsd} and may be at most ${maxBudgetUsd}, as MAX_BUDGET_USD says`);
  }
}

function refuse(param: string, why: string): never {
  throw new ServiceError('invalid_request', `Cannot take the job: ${why} (${param})`, { param });
}
