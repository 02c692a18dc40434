/** Completes the request for a job with the defaults of the settings. */
import { createHash } from 'node:crypto';
import type { JobLimits, JobSpec, OnInterrupt } from '../store/job.ts';

/** A checked request for a job. Fields that are left out get the defaults of the settings. */
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

/**
 * Returns a digest of the request, to recognise a repeat. The defaults are not part of it, since the settings may
 * change before the repeat.
 */
export function fingerprintOf(request: JobRequest): string {
  return createHash('sha256').update(JSON.stringify(request)).digest('base64url');
}
