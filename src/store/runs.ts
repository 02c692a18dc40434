/** The runs of jobs: started, told of, ended; each fenced by its attempt, so that a stale one changes nothing. */

import { change, changeOrUndo, type Store, type Work } from './change.ts';
import { changeState, insertEvents } from './change-state.ts';
import type { Row, Sql } from './database.ts';
import type { JobEnd } from './job.ts';
import type { Claim, NewEvent, RunKind } from './job-store.ts';
import { storedEnding } from './rows.ts';

/** The row of the next one by priority and turn, now running here. */
export async function claimNext(store: Store, kind: RunKind, columns: string): Promise<Row | undefined> {
  const { engine } = store;
  return change(store, async ({ sql, tell }) => {
    for (;;) {
      const id = await engine.take(sql, kind);
      if (id === undefined) return undefined;
      const at = Date.now();
      const set = { worker: engine.worker, started_at: at };
      if (await changeState(sql, { id, from: 'queued', to: 'running', at, set })) {
        tell(`job:${id}`);
        const [row] = await sql(`SELECT ${columns} FROM agent_jobs WHERE id = $1`, [id]);
        return row;
      }
      // It was cancelled, expired or removed while it waited: only now does the queue let go of it.
      await engine.withdraw(sql, kind, id);
    }
  });
}

export async function heartbeat({ engine }: Store, kind: RunKind, claims: Claim[]) {
  await engine.touch(kind, claims);
  const now = Date.now();
  const rows = await engine.database.query(
    `SELECT id, attempt, cancel_requested_at, wait_until FROM agent_jobs
     WHERE worker = $1 AND kind = $2 AND state = 'running'`,
    [engine.worker, kind],
  );
  const held = rows.map((row) => {
    const abandoned = kind === 'chat' && Number(row['wait_until']) < now;
    const stop = abandoned || row['cancel_requested_at'] !== null;
    return { claim: { id: String(row['id']), attempt: Number(row['attempt']) }, stop };
  });
  const find = ({ id, attempt }: Claim) => held.find(({ claim }) => claim.id === id && claim.attempt === attempt);
  return {
    lost: claims.filter((claim) => !find(claim)),
    toStop: claims.filter((claim) => find(claim)?.stop),
    unknown: held.map(({ claim }) => claim).filter(({ id }) => !claims.some((claim) => claim.id === id)),
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
    await store.engine.withdraw(sql, 'job', id);
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

/** It waits again, where it stood. */
export async function requeue(store: Store, kind: RunKind, { id, attempt }: Claim): Promise<boolean> {
  return changeOrUndo(store, async ({ sql, tell }) => {
    await store.engine.withdraw(sql, kind, id);
    const [row] = await sql('SELECT priority, turn FROM agent_jobs WHERE id = $1', [id]);
    if (!row) return false;
    await store.engine.offer(sql, { id, kind, priority: Number(row['priority']), turn: Number(row['turn']) });
    const waits = await changeState(sql, { id, from: 'running', to: 'queued', attempt, at: Date.now() });
    tell(`job:${id}`, 'work');
    return waits;
  });
}
