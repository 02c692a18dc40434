/** Jobs of a server under test, as a client of its API sees them. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { EventJson } from '../../src/api/jobs/job-event-stream.ts';
import type { JobJson } from '../../src/api/jobs/render-job.ts';
import { type Script, startScriptedService } from './scripted-agent.ts';
import type { TestService } from './service.ts';
import { waitUntil } from './wait-until.ts';

export type SentEvent = { id: number; event: string; data: EventJson };

/** A prompt that the scripted agent follows. */
export function promptFor(script: Script): string {
  return `Please. #agent ${JSON.stringify(script)}`;
}

/** Submits a job. Returns its id. */
export async function execute(
  service: TestService,
  body: Record<string, unknown>,
  headers?: Record<string, string>,
): Promise<string> {
  const response = await service.post('/execute', body, headers);
  const text = await response.text();
  assert.equal(response.status, 202, text);
  return (JSON.parse(text) as { job_id: string }).job_id;
}

export async function jobOf(service: TestService, id: string): Promise<JobJson> {
  const response = await service.get(`/jobs/${id}`);
  assert.equal(response.status, 200);
  return (await response.json()) as JobJson;
}

/** Waits for the end of the job. Returns its record. */
export async function ended(service: TestService, id: string): Promise<JobJson> {
  await eventsOf(service, id);
  return jobOf(service, id);
}

/** Submits a job, and waits for its end. Returns its record. */
export async function runJob(service: TestService, prompt: string): Promise<JobJson> {
  return ended(service, await execute(service, { prompt }));
}

export async function reaches(service: TestService, id: string, status: JobJson['status']): Promise<void> {
  await waitUntil(`the job is ${status}`, async () => (await jobOf(service, id)).status === status);
}

/** All events until the stream ends. */
export async function eventsOf(
  service: TestService,
  id: string,
  from: { query?: string; headers?: Record<string, string> } = {},
): Promise<SentEvent[]> {
  const response = await service.get(`/jobs/${id}/events${from.query ?? ''}`, from.headers);
  assert.equal(response.status, 200);
  return framesIn(await response.text());
}

export function framesIn(text: string): SentEvent[] {
  return [...text.matchAll(/^id: (\d+)\nevent: (\w+)\ndata: (.*)\n\n/gm)].map(([, id, event = '', data = '']) => ({
    id: Number(id),
    event,
    data: JSON.parse(data) as EventJson,
  }));
}

/** A server on which one job runs, so that further ones wait. */
export async function startBusyService(t: TestContext, settings: Record<string, string> = {}) {
  const service = await startScriptedService(t, { MAX_CONCURRENT_RUNS: '1', ...settings });
  const running = await execute(service, { prompt: promptFor({ hang: true }) });
  await reaches(service, running, 'running');
  return { service, running };
}
