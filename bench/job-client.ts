/** A client of the job API: it submits, follows and cancels jobs. */
import { events, send, textOf } from './client.ts';
import type { ServerProcess } from './server-process.ts';

export type Job = { status: string; started_at: string | null };

export type StoredEvent = { type: string; text?: string };

/** Resolves with the 202. @returns the id of the job */
export async function submitJob(server: ServerProcess, prompt: string): Promise<string> {
  const answer = JSON.parse(await textOf(await send(server, 'POST', '/execute', { prompt, model: 'haiku' })));
  return (answer as { job_id: string }).job_id;
}

export async function getJob(server: ServerProcess, id: string): Promise<Job> {
  return JSON.parse(await textOf(await send(server, 'GET', `/jobs/${id}`))) as Job;
}

export async function cancel(server: ServerProcess, id: string): Promise<void> {
  await textOf(await send(server, 'DELETE', `/jobs/${id}`));
}

/** Reads the events of a job from its first to its last. */
export async function follow(
  server: ServerProcess,
  id: string,
  onEvent: (event: StoredEvent) => void = () => {},
): Promise<void> {
  for await (const data of events(await send(server, 'GET', `/jobs/${id}/events`))) {
    onEvent(JSON.parse(data) as StoredEvent);
  }
}
