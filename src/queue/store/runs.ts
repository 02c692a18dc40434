/** The runs of jobs: started, told of, ended; each fenced by its attempt, so that a stale one changes nothing. */
import type { JobEnd, JobError, JobRecord } from '../job.ts';
import type { Claim, NewEvent } from '../job-store.ts';
import { changeState, insertEvents } from './change-state.ts';
import type { Sql } from './database.ts';
import { recordColumns, storedEnding, toEvent, toRecord } from './rows.ts';
import { change, changeOrUndo, type Store, type Work } from './tell.ts';

/** Of the text that an interrupted job had written, in characters. */
const maxKeptOutput = 1_000_000;

export async function claim(store: Store): Promise<JobRecord | undefined> {
  const { engine } = store;
  return change(store, async ({ sql, tell }) => {
    for (;;) {
      const id = await engine.take(sql, 'job');
      if (id === undefined) return undefined;
      const at = Date.now();
      const set = { worker: engine.worker, started_at: at };
      if (await changeState(sql, { id, from: 'queued', to: 'running', at, set })) {
        tell(`job:${id}`);
        const [row] = await sql(`SELECT ${recordColumns} FROM agent_jobs WHERE id = $1`, [id]);
        return row && toRecord(row);
      }
      // It was cancelled, expired or removed while it waited: only now does the queue let go of it.
      await engine.withdraw(sql, id);
    }
  });
}

export async function heartbeat({ engine }: Store, claims: Claim[]): Promise<{ lost: Claim[]; toStop: Claim[] }> {
  await engine.touch(claims);
  const rows = await engine.database.query(
    `SELECT id, attempt, cancel_requested_at FROM agent_jobs WHERE worker = $1 AND state = 'running'`,
    [engine.worker],
  );
  const mine = new Map(rows.map((row) => [`${row['id']}:${row['attempt']}`, row['cancel_requested_at']]));
  return {
    lost: claims.filter(({ id, attempt }) => !mine.has(`${id}:${attempt}`)),
    toStop: claims.filter(({ id, attempt }) => typeof mine.get(`${id}:${attempt}`) === 'number'),
  };
}

export async function appendEvents(
  store: Store,
  claimed: Claim,
  lastSeq: number,
  events: NewEvent[],
): Promise<boolean> {
  const { id, attempt } = claimed;
  const bytes = events.reduce((sum, { body }) => sum + Buffer.byteLength(JSON.stringify(body)), 0);
  const newSeq = lastSeq + events.length;
  const append = async ({ sql, tell }: Work) => {
    const [row] = await sql(
      `UPDATE agent_jobs SET last_seq = $1, bytes = bytes + $2
       WHERE id = $3 AND attempt = $4 AND state = 'running' AND last_seq = $5 RETURNING id`,
      [newSeq, bytes, id, attempt, lastSeq],
    );
    if (!row) return writtenBefore(sql, claimed, newSeq);
    await insertEvents(sql, id, newSeq, events);
    tell(`job:${id}`);
    return true;
  };
  return change(store, append, 'soon');
}

/** While it runs only its runner adds events to a job, so the number says whether an earlier try came through. */
async function writtenBefore(sql: Sql, { id, attempt }: Claim, newSeq: number): Promise<boolean> {
  const rows = await sql(
    `SELECT id FROM agent_jobs WHERE id = $1 AND attempt = $2 AND state = 'running' AND last_seq = $3`,
    [id, attempt, newSeq],
  );
  return rows.length > 0;
}

export async function finish(store: Store, { id, attempt }: Claim, end: JobEnd): Promise<boolean> {
  const { output, stderr, result = null, workspace, error, costUsd, turns } = end;
  const patch = workspace?.patch ?? '';
  return changeOrUndo(store, async ({ sql, tell }) => {
    await store.engine.withdraw(sql, id);
    const ended = await changeState(sql, {
      id,
      from: 'running',
      to: end.state,
      attempt,
      at: Date.now(),
      set: { output, stderr, result, ending: storedEnding(end) },
      event: {
        ...(error && { error }),
        ...(costUsd !== undefined && { costUsd }),
        ...(turns !== undefined && { turns }),
      },
    });
    if (!ended) return false;
    const size = [output, stderr, result ?? '', patch].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    await sql('UPDATE agent_jobs SET bytes = bytes + $1 WHERE id = $2', [size, id]);
    if (patch) await sql('INSERT INTO agent_job_patches (job_id, patch) VALUES ($1, $2)', [id, patch]);
    tell(`job:${id}`, 'ended');
    return true;
  });
}

/** The job waits again, where it stood. */
export async function handBack(store: Store, { id, attempt }: Claim): Promise<boolean> {
  return changeOrUndo(store, async ({ sql, tell }) => {
    await store.engine.withdraw(sql, id);
    const [row] = await sql('SELECT kind, priority, turn FROM agent_jobs WHERE id = $1', [id]);
    if (!row) return false;
    const { kind, priority, turn } = row;
    await store.engine.offer(sql, { id, kind: String(kind), priority: Number(priority), turn: Number(turn) });
    const waits = await changeState(sql, { id, from: 'running', to: 'queued', attempt, at: Date.now() });
    tell(`job:${id}`, 'work');
    return waits;
  });
}

export async function takeBackLost(store: Store, { maxAttempts }: { maxAttempts: number }): Promise<number> {
  let count = 0;
  for (const lost of await store.engine.listLost()) {
    const [row] = await store.engine.database.query(
      `SELECT ${recordColumns}, attempt_seq FROM agent_jobs WHERE id = $1 AND attempt = $2 AND state = 'running'`,
      [lost.id, lost.attempt],
    );
    if (!row) continue;
    const job = toRecord(row);
    const again = job.onInterrupt === 'requeue' && job.attempt < maxAttempts && job.cancelRequestedAt === undefined;
    const output = await writtenText(store.engine.database.query, lost.id, Number(row['attempt_seq']));
    const end: JobEnd = { ...endOfLost(job), output, stderr: '' };
    if (again ? await handBack(store, lost) : await finish(store, lost, end)) count += 1;
  }
  return count;
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
