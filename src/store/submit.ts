/**
 * Adds a job to the store: checks the limits and the idempotency key, and gives the job a round that is fair to all
 * owners.
 */
import { retryAfterSeconds } from '../admission/estimates.ts';
import { ServiceError } from '../errors.ts';
import type { Owner } from '../task.ts';
import { change, type Store } from './change.ts';
import { insertEvents } from './change-state.ts';
import type { Sql } from './database.ts';
import type { JobRecord, JobSpec } from './job.ts';
import type { SubmitOptions } from './job-store.ts';
import { expectedWait } from './outlook.ts';
import { recordColumns, storedSpec, toRecord } from './rows.ts';
import type { RunKind } from './stored-run.ts';
import { orderedUuid } from './uuid.ts';

type Bounds = Pick<SubmitOptions, 'maxWaiting' | 'ownerLimits'>;

export async function submit(
  store: Store,
  spec: JobSpec,
  { maxWaiting, ownerLimits, fingerprint }: SubmitOptions,
): Promise<{ job: JobRecord; created: boolean }> {
  const { engine } = store;
  return change(store, async ({ sql, notify }) => {
    await engine.lockSubmissions(sql);
    const earlier = await findEarlier(sql, spec);
    if (earlier) {
      if (earlier.fingerprint === fingerprint) return { job: earlier.job, created: false };
      throw new ServiceError('idempotency_conflict');
    }
    await checkBounds(sql, spec.owner, { maxWaiting, ownerLimits });
    const now = engine.clock.now();
    const id = orderedUuid(now);
    const round = await nextRound(sql, 'job', spec);
    await engine.enqueue(sql, { id, kind: 'job', priority: spec.priority, round });
    notify('work');
    return { job: await insert(sql, { id, round, now }, spec, fingerprint), created: true };
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

/** Throws `job_queue_full` if there is no room for a job of the owner. */
export async function checkBounds(sql: Sql, owner: Owner, bounds: Bounds): Promise<void> {
  const reached = await reachedBound(sql, owner, bounds);
  if (reached === undefined) return;
  throw new ServiceError('job_queue_full', `Cannot queue the job: ${reached}`, {
    retryAfterSeconds: retryAfterSeconds(await expectedWait(sql, 'job', 1)),
  });
}

/**
 * Returns the limit that another job would exceed. Returns `undefined` if there is no such limit. An owner learns how
 * many of its own jobs wait, but not how many jobs of other owners wait.
 */
async function reachedBound(sql: Sql, owner: Owner, { maxWaiting, ownerLimits }: Bounds): Promise<string | undefined> {
  const waiting = await countWaiting(sql, 'job');
  if (ownerLimits) {
    const { maxWaitingPerKey, reserved, operator } = ownerLimits;
    const own = await countWaiting(sql, 'job', owner);
    if (own >= maxWaitingPerKey) {
      return `${own} of ${maxWaitingPerKey} waiting jobs of this key, the limit of MAX_WAITING_JOBS_PER_KEY`;
    }
    const operators = operator === undefined ? 0 : await countWaiting(sql, 'job', operator);
    const shared = maxWaiting - reserved;
    // The operator's jobs do not count here, so they do not reduce the number of jobs that other keys may have.
    if (waiting - operators >= shared) {
      return `the limit of ${shared} waiting jobs is reached (MAX_WAITING_JOBS less RESERVED_WAITING_JOBS)`;
    }
  }
  return waiting < maxWaiting ? undefined : `${waiting} of ${maxWaiting} waiting jobs, the limit of MAX_WAITING_JOBS`;
}

/**
 * Returns how many runs wait.
 * @param owner counts only the runs of this owner. Undefined to count the runs of all owners
 */
export async function countWaiting(sql: Sql, kind: RunKind, owner?: Owner): Promise<number> {
  const whose = owner === undefined ? '' : 'AND owner = $2';
  const [row] = await sql(
    `SELECT count(*) AS waiting FROM agent_jobs WHERE kind = $1 AND state = 'queued' ${whose}`,
    owner === undefined ? [kind] : [kind, owner],
  );
  return Number(row?.['waiting']);
}

/**
 * Returns the round in which a new run is served. It is one after the round of its owner's last waiting run, and not
 * before the round that is served now. So owners alternate, and the order needs no state besides the waiting runs.
 */
export async function nextRound(
  sql: Sql,
  kind: RunKind,
  { owner, priority }: Pick<JobSpec, 'owner' | 'priority'>,
): Promise<number> {
  const [current] = await sql(
    `SELECT min(turn) AS round FROM agent_jobs WHERE kind = $1 AND state = 'queued' AND priority = $2`,
    [kind, priority],
  );
  const [own] = await sql(
    `SELECT max(turn) AS round FROM agent_jobs
     WHERE kind = $1 AND state = 'queued' AND priority = $2 AND owner = $3`,
    [kind, priority, owner],
  );
  return Math.max(Number(current?.['round'] ?? 0), Number(own?.['round'] ?? -1) + 1);
}

async function insert(
  sql: Sql,
  { id, round, now }: { id: string; round: number; now: number },
  spec: JobSpec,
  fingerprint: string,
): Promise<JobRecord> {
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
      round,
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
