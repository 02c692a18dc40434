/** What is asked of a job, made complete: every default filled in. */
import { createHash } from 'node:crypto';
import type { JobLimits, JobSpec, OnInterrupt } from '../store/job.ts';

/** What a caller gives, checked already; everything left out takes the default of the settings. */
export type JobRequest = Pick<JobSpec, 'prompt' | 'owner' | 'model'> &
  Partial<Omit<JobSpec, 'prompt' | 'owner' | 'model' | 'limits'>> & { limits?: Partial<JobLimits> };

export type JobDefaults = { agent?: string; limits: JobLimits; onInterrupt: OnInterrupt };

export function specOf(request: JobRequest, defaults: JobDefaults): JobSpec {
  return {
    ...(defaults.agent !== undefined && { agent: defaults.agent }),
    priority: 0,
    onInterrupt: defaults.onInterrupt,
    ...request,
    limits: { ...defaults.limits, ...request.limits },
  };
}

/** Of the request, not of the complete job: the settings may have changed when the request is repeated. */
export function fingerprintOf(request: JobRequest): string {
  return createHash('sha256').update(JSON.stringify(request)).digest('base64url');
}
