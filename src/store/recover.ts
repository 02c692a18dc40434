/** Recovers the runs whose worker is gone: they wait again, or they end. */
import type { Store } from './change.ts';
import { finishChat } from './chat-requests.ts';
import type { ChatEnd } from './chat-store.ts';
import type { Sql } from './database.ts';
import { finish } from './finish.ts';
import { cancelledWhileRunning, type JobEnd, type JobError, type JobRecord } from './job.ts';
import { mayRunAgain, requeue } from './requeue.ts';
import { recordColumns, toEvent, toRecord } from './rows.ts';
import type { Claim } from './stored-run.ts';
import { WrittenText } from './written-text.ts';

/** Returns how many runs it recovered. */
export async function recoverLost(store: Store, { maxAttempts }: { maxAttempts: number }): Promise<number> {
  let count = 0;
  for (const { kind, ...lost } of await store.engine.listLost()) {
    const recovered =
      kind === 'chat' ? await finishChat(store, lost, endOfLostChat) : await recoverJob(store, lost, maxAttempts);
    if (recovered) count += 1;
  }
  return count;
}

/**
 * A lost chat run is not started again: its client may have part of the answer, and a second run would cost money
 * again.
 */
const endOfLostChat: ChatEnd = {
  failure: { code: 'interrupted', message: 'Cannot finish the run: the worker that ran it is gone', extra: {} },
};

async function recoverJob(store: Store, lost: Claim, maxAttempts: number): Promise<boolean> {
  const [row] = await store.engine.database.query(
    `SELECT ${recordColumns}, attempt_seq FROM agent_jobs WHERE id = $1 AND attempt = $2 AND state = 'running'`,
    [lost.id, lost.attempt],
  );
  if (!row) return false;
  const job = toRecord(row);
  if (mayRunAgain(job, maxAttempts)) return requeue(store, 'job', lost, { emptyAttempts: job.emptyAttempts ?? 0 });
  const output = await writtenText(store.engine.database.query, lost.id, Number(row['attempt_seq']));
  return finish(store, lost, { ...endOfLostJob(job), output, stderr: '' });
}

function endOfLostJob(job: JobRecord): { state: JobEnd['state']; error: JobError } {
  if (job.cancelRequestedAt !== undefined) {
    return { state: 'cancelled', error: cancelledWhileRunning };
  }
  const message = 'Cannot finish the job: the server or worker that ran it is gone';
  return { state: 'interrupted', error: { code: 'interrupted', message } };
}

/** Returns the text that the agent wrote in this attempt, joined from its events. */
async function writtenText(sql: Sql, id: string, after: number): Promise<string> {
  const rows = await sql(
    `SELECT seq, at, body FROM agent_job_events WHERE job_id = $1 AND seq > $2 AND body LIKE '{"type":"text%' ORDER BY seq`,
    [id, after],
  );
  const written = new WrittenText();
  for (const row of rows) written.read(toEvent(row));
  return written.text;
}
