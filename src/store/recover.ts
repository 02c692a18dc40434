/** Takes back what ran on a server or worker that is gone. */

import type { Store } from './change.ts';
import { finishChat } from './chat-rows.ts';
import type { ChatEnd } from './chat-store.ts';
import type { Sql } from './database.ts';
import type { JobEnd, JobError, JobRecord } from './job.ts';
import type { Claim } from './job-store.ts';
import { recordColumns, toEvent, toRecord } from './rows.ts';
import { finish, requeue } from './runs.ts';

/** Of the text that an interrupted job had written, in characters. */
const maxKeptOutput = 1_000_000;

export async function recoverLost(store: Store, { maxAttempts }: { maxAttempts: number }): Promise<number> {
  let count = 0;
  for (const { kind, ...lost } of await store.engine.listLost()) {
    const taken =
      kind === 'chat' ? await finishChat(store, lost, lostChat) : await takeBackJob(store, lost, maxAttempts);
    if (taken) count += 1;
  }
  return count;
}

/** Nobody begins it anew: its client has heard a part of the answer, or would pay twice. */
const lostChat: ChatEnd = {
  failure: { code: 'interrupted', message: 'Cannot finish the run: the worker that ran it is gone', extra: {} },
};

async function takeBackJob(store: Store, lost: Claim, maxAttempts: number): Promise<boolean> {
  const [row] = await store.engine.database.query(
    `SELECT ${recordColumns}, attempt_seq FROM agent_jobs WHERE id = $1 AND attempt = $2 AND state = 'running'`,
    [lost.id, lost.attempt],
  );
  if (!row) return false;
  const job = toRecord(row);
  const again = job.onInterrupt === 'requeue' && job.attempt < maxAttempts && job.cancelRequestedAt === undefined;
  const output = await writtenText(store.engine.database.query, lost.id, Number(row['attempt_seq']));
  const end: JobEnd = { ...endOfLost(job), output, stderr: '' };
  return again ? requeue(store, 'job', lost) : finish(store, lost, end);
}

function endOfLost(job: JobRecord): { state: JobEnd['state']; error: JobError } {
  if (job.cancelRequestedAt !== undefined) {
    return { state: 'cancelled', error: { code: 'cancelled', message: 'The job was cancelled while it ran' } };
  }
  const message = 'Cannot finish the job: the server or worker that ran it is gone';
  return { state: 'interrupted', error: { code: 'interrupted', message } };
}

/** What the agent wrote, put together from its events. */
async function writtenText(sql: Sql, id: string, after: number): Promise<string> {
  const rows = await sql(
    `SELECT seq, at, body FROM agent_job_events WHERE job_id = $1 AND seq > $2 AND body LIKE '{"type":"text"%' ORDER BY seq`,
    [id, after],
  );
  const texts = rows.map(toEvent).map((event) => (event.type === 'text' ? event.text : ''));
  return texts.join('').slice(0, maxKeptOutput);
}
