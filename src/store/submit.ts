/** Takes a job into the store: bounded, once per idempotency key, and in its owner's turn. */

import { retryAfterSeconds } from '../admission/estimates.ts';
import { ServiceError } from '../errors.ts';
import type { Owner } from '../task.ts';
import { change, type Store } from './change.ts';
import { insertEvents } from './change-state.ts';
import type { Sql } from './database.ts';
import type { JobRecord, JobSpec } from './job.ts';
import type { RunKind, SubmitOptions } from './job-store.ts';
import { expectedWait } from './outlook.ts';
import { recordColumns, storedSpec, toRecord } from './rows.ts';
import { orderedUuid } from './uuid.ts';

type RoomBounds = Pick<SubmitOptions, 'maxWaiting' | 'tenant'>;

export async function submit(
  store: Store,
  spec: JobSpec,
  { maxWaiting, tenant, fingerprint }: SubmitOptions,
): Promise<{ job: JobRecord; created: boolean }> {
  const { engine } = store;
  return change(store, async ({ sql, tell }) => {
    await engine.lockSubmissions(sql);
    const earlier = await findEarlier(sql, spec);
    if (earlier) {
      if (earlier.fingerprint === fingerprint) return { job: earlier.job, created: false };
      throw new ServiceError('idempotency_conflict', 'Cannot take the job: this key came with another request before');
    }
    await checkRoom(sql, spec.owner, { maxWaiting, tenant });
    const id = orderedUuid();
    const turn = await nextTurn(sql, 'job', spec);
    await engine.offer(sql, { id, kind: 'job', priority: spec.priority, turn });
    tell('work');
    return { job: await insert(sql, id, turn, spec, fingerprint), created: true };
  });
}

async function findEarlier(sql: Sql, spec: JobSpec): Promise<{ job: JobRecord; fingerprint: string } | undefined> {
  if (spec.idempotencyKey === undefined) return undefined;
  const [row] = await sql(
    `SELECT ${recordColumns}, fingerprint FROM agent_jobs WHERE owner = $1 AND idempotency_key = $2`,
    [spec.owner, spec.idempotencyKey],
  );
  return row && { job: toRecord(row), fingerprint: String(row['fingerprint']) };
}

async function checkRoom(sql: Sql, owner: Owner, bounds: RoomBounds): Promise<void> {
  const problem = await fullness(sql, owner, bounds);
  if (problem === undefined) return;
  throw new ServiceError('job_queue_full', `Cannot queue the job: ${problem}`, {
    retryAfterSeconds: retryAfterSeconds(await expectedWait(sql, 'job', 1)),
  });
}

/** Why there is no room. A tenant is told how many of its own jobs wait; of those of others, only that all is taken. */
async function fullness(sql: Sql, owner: Owner, { maxWaiting, tenant }: RoomBounds): Promise<string | undefined> {
  const waiting = await countWaiting(sql, 'job');
  if (tenant) {
    const { maxWaitingPerKey, reserved, operator } = tenant;
    const own = await countWaiting(sql, 'job', owner);
    if (own >= maxWaitingPerKey) {
      return `${own} jobs of this key wait, and MAX_WAITING_JOBS_PER_KEY is ${maxWaitingPerKey}`;
    }
    const operators = operator === undefined ? 0 : await countWaiting(sql, 'job', operator);
    const room = maxWaiting - reserved;
    // The operator's jobs fill the reserve first: they take no room of others before it is full.
    if (waiting - operators >= room) return `all ${room} places for waiting jobs are taken`;
  }
  return waiting < maxWaiting ? undefined : `${waiting} of ${maxWaiting} places taken`;
}

/** @param owner absent: of all */
export async function countWaiting(sql: Sql, kind: RunKind, owner?: Owner): Promise<number> {
  const whose = owner === undefined ? '' : 'AND owner = $2';
  const [row] = await sql(
    `SELECT count(*) AS waiting FROM agent_jobs WHERE kind = $1 AND state = 'queued' ${whose}`,
    owner === undefined ? [kind] : [kind, owner],
  );
  return Number(row?.['waiting']);
}

/**
 * Owners alternate: a job's turn is one after its owner's last waiting one, but never before the round that is being
 * served. So the order needs no state besides the waiting jobs themselves.
 */
export async function nextTurn(
  sql: Sql,
  kind: RunKind,
  { owner, priority }: Pick<JobSpec, 'owner' | 'priority'>,
): Promise<number> {
  const [round] = await sql(
    `SELECT min(turn) AS turn FROM agent_jobs WHERE kind = $1 AND state = 'queued' AND priority = $2`,
    [kind, priority],
  );
  const [own] = await sql(
    `SELECT max(turn) AS turn FROM agent_jobs
     WHERE kind = $1 AND state = 'queued' AND priority = $2 AND owner = $3`,
    [kind, priority, owner],
  );
  return Math.max(Number(round?.['turn'] ?? 0), Number(own?.['turn'] ?? -1) + 1);
}

async function insert(sql: Sql, id: string, turn: number, spec: JobSpec, fingerprint: string): Promise<JobRecord> {
  const now = Date.now();
  const stored = storedSpec(spec);
  const [row] = await sql(
    `INSERT INTO agent_jobs (id, kind, state, owner, agent, priority, turn, attempt, created_at, wait_until,
      idempotency_key, fingerprint, last_seq, attempt_seq, bytes, callback, prompt, spec, output, stderr)
     VALUES ($1, 'job', 'queued', $2, $3, $4, $5, 0, $6, $7, $8, $9, 1, 0, $10, $11, $12, $13, '', '')
     RETURNING ${recordColumns}`,
    [
      id,
      spec.owner,
      spec.agent ?? null,
      spec.priority,
      turn,
      now,
      spec.limits.waitMs > 0 ? now + Math.ceil(spec.limits.waitMs) : null,
      spec.idempotencyKey ?? null,
      fingerprint,
      Buffer.byteLength(spec.prompt) + Buffer.byteLength(stored),
      spec.callbackUrl === undefined ? null : JSON.stringify({ state: 'pending', attempts: 0 }),
      spec.prompt,
      stored,
    ],
  );
  if (!row) throw new Error('Cannot insert a job: the database returned no row');
  await insertEvents(sql, id, 1, [{ at: now, body: { type: 'state', state: 'queued', attempt: 0 } }]);
  return toRecord(row);
}
