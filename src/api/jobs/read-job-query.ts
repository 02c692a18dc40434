/** Reads the queries of the job routes: which jobs to list, and from which event on to stream. */

import { z } from 'zod';
import { invalidField } from '../../errors.ts';
import type { JobFilter, JobState } from '../../store/job.ts';
import { fromZod } from '../parse-body.ts';
import { agentName } from './read-job-request.ts';

const states = {
  queued: 'queued',
  running: 'running',
  completed: 'completed',
  failed: 'failed',
  timeout: 'timeout',
  cancelled: 'cancelled',
  interrupted: 'interrupted',
} as const satisfies { [State in JobState]: State };

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export const listQueryShape = z.object({
  status: z.enum(states).optional(),
  agent: agentName.optional(),
  limit: z.coerce.number().int('must be a whole number').min(1).max(200).default(50),
  id: z
    .string()
    .regex(/^[\da-f-]{1,36}$/, 'must be the beginning of the id of a job')
    .optional(),
  cursor: z.string().regex(uuid, 'must be the next_cursor of the page before').optional(),
});

/** Throws `invalid_request`. A parameter without a value is absent, as in the URL of a form. */
export function readListQuery(query: unknown): JobFilter {
  const given = Object.entries((query ?? {}) as object).filter(([, value]) => value !== '');
  const parsed = listQueryShape.safeParse(Object.fromEntries(given));
  if (!parsed.success) throw fromZod(parsed.error);
  const { status, agent, limit, id, cursor } = parsed.data;
  return {
    limit,
    ...(status ? { state: status } : {}),
    ...(agent ? { agent } : {}),
    ...(id ? { idPrefix: id } : {}),
    ...(cursor ? { cursor } : {}),
  };
}

/** Returns whether a part of a path has the form of a job id. */
export function isJobId(text: string): boolean {
  return uuid.test(text);
}

/**
 * Returns the number of the last event that the reader has, or 0. A browser that reconnects repeats its URL and adds
 * the header, so the header counts. Throws `invalid_request`.
 */
export function readAfter(lastEventId: string | string[] | undefined, query: unknown): number {
  const { after } = (query ?? {}) as { after?: unknown };
  const given = lastEventId || after;
  if (given === undefined || given === '') return 0;
  const name = lastEventId ? 'Last-Event-ID' : 'after';
  if (typeof given !== 'string' || !/^\d{1,9}$/.test(given)) throw invalidField(name, 'must be the id of an event');
  return Number(given);
}
