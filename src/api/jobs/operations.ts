/** The routes of jobs, for the description of the API. */
import { z } from 'zod';
import type { Operation } from '../operation.ts';
import { listQueryShape } from './query.ts';
import type { JobRequestShape } from './request.ts';

const events =
  'What happens in the job, as server-sent events, from the first one; Last-Event-ID or ?after= continues after one';

export function jobOperations(shape: JobRequestShape): Operation[] {
  const body = z.toJSONSchema(shape, { target: 'openapi-3.0', io: 'input' });
  const query = z.toJSONSchema(listQueryShape, { target: 'openapi-3.0', io: 'input' }).properties ?? {};
  return [
    { method: 'post', path: '/execute', summary: 'Hand in a job; Idempotency-Key makes it one job', body, answer: 202 },
    { method: 'get', path: '/jobs', summary: 'Jobs, newest first', query, errors: [400] },
    { method: 'get', path: '/jobs/{id}', summary: 'All about a job' },
    { method: 'delete', path: '/jobs/{id}', summary: 'Cancel it: never_started, or stopping', errors: [409] },
    {
      method: 'get',
      path: '/jobs/{id}/events',
      summary: events,
      query: { after: { type: 'integer', minimum: 0 } },
      errors: [400],
    },
    { method: 'get', path: '/jobs/{id}/diff', summary: 'What it changed, as a unified diff', errors: [409] },
    { method: 'get', path: '/callback-secret', summary: 'What the callbacks of this key are signed with' },
  ];
}
