/**
 * Stores chat requests in the same tables as jobs, with the same queue, claims and events. Removes them soon after
 * their end.
 */
import { ServiceError } from '../errors.ts';
import type { Task } from '../task.ts';
import { appendEvents } from './append-events.ts';
import { cancel } from './cancel.ts';
import { change, changeOrUndo, type Store } from './change.ts';
import { changeState, insertEvents } from './change-state.ts';
import type { ChatClaim, ChatEnd, ChatStore } from './chat-store.ts';
import { claimNext } from './claim.ts';
import type { EndState } from './job.ts';
import { requeue } from './requeue.ts';
import { storedTask, taskFrom } from './stored-names.ts';
import type { Claim } from './stored-run.ts';
import { countWaiting, nextRound } from './submit.ts';
import { orderedUuid } from './uuid.ts';

export function createChatStore(store: Store): ChatStore {
  const { query } = store.engine.database;
  return {
    submit: (task, limits) => submitChat(store, task, limits),
    async renew(id, leaseMs) {
      await query(`UPDATE agent_jobs SET wait_until = $1 WHERE id = $2 AND state IN ('queued', 'running')`, [
        store.engine.clock.now() + leaseMs,
        id,
      ]);
    },
    withdraw: (id) =>
      change(store, ({ sql }) =>
        changeState(sql, { id, from: 'queued', to: 'cancelled', at: store.engine.clock.now() }),
      ),
    async cancel(id) {
      await cancel(store, id);
    },
    async end(id) {
      const [row] = await query('SELECT ending FROM agent_jobs WHERE id = $1 AND finished_at IS NOT NULL', [id]);
      return row && (JSON.parse(String(row['ending'])) as ChatEnd);
    },
    forget: (id) =>
      store.engine.database.transaction('soon', async (sql) => {
        await sql('DELETE FROM agent_job_events WHERE job_id = $1', [id]);
        await sql('DELETE FROM agent_jobs WHERE id = $1', [id]);
      }),
    async claim() {
      const row = await claimNext(store, 'chat', 'id, attempt, last_seq, spec');
      if (!row) return undefined;
      const { id, attempt, last_seq: lastSeq, spec } = row;
      const task = taskFrom(String(spec));
      return { id: String(id), attempt: Number(attempt), lastSeq: Number(lastSeq), task } satisfies ChatClaim;
    },
    appendEvents: (claim, lastSeq, events) => appendEvents(store, claim, lastSeq, events),
    finish: (claim, end) => finishChat(store, claim, end),
    requeue: (claim) => requeue(store, 'chat', claim),
  };
}

async function submitChat(
  store: Store,
  task: Task,
  { maxWaiting, leaseMs }: { maxWaiting: number; leaseMs: number },
): Promise<string> {
  return change(store, async ({ sql, notify }) => {
    await store.engine.lockSubmissions(sql);
    const waiting = await countWaiting(sql, 'chat');
    if (waiting >= maxWaiting) throw queueFull(waiting, maxWaiting);
    const now = store.engine.clock.now();
    const id = orderedUuid(now);
    const round = await nextRound(sql, 'chat', { owner: task.owner, priority: 0 });
    await store.engine.enqueue(sql, { id, kind: 'chat', priority: 0, round });
    await sql(
      `INSERT INTO agent_jobs (id, kind, state, owner, priority, turn, attempt, created_at, wait_until, fingerprint,
        last_seq, attempt_seq, bytes, prompt, spec, output, stderr)
       VALUES ($1, 'chat', 'queued', $2, 0, $3, 0, $4, $5, '', 1, 0, 0, '', $6, '', '')`,
      [id, task.owner, round, now, now + leaseMs, storedTask(task)],
    );
    await insertEvents(sql, id, 1, [{ at: now, body: { type: 'state', state: 'queued', attempt: 0 } }]);
    notify('work');
    return id;
  });
}

function queueFull(waiting: number, maxWaiting: number): ServiceError {
  const state =
    maxWaiting === 0
      ? 'no slot is free here, and with MAX_QUEUED_RUNS=0 no request may wait'
      : `${waiting} of ${maxWaiting} waiting requests, the limit of MAX_QUEUED_RUNS`;
  return new ServiceError('queue_full', `Cannot queue the run: ${state}`, { retryAfterSeconds: 5 });
}

export async function finishChat(store: Store, { id, attempt }: Claim, end: ChatEnd): Promise<boolean> {
  return changeOrUndo(store, async ({ sql, notify }) => {
    await store.engine.removeFromQueue(sql, 'chat', id);
    notify(`job:${id}`);
    const set = { ending: JSON.stringify(end) };
    return changeState(sql, { id, from: 'running', to: stateOf(end), attempt, at: store.engine.clock.now(), set });
  });
}

function stateOf(end: ChatEnd): EndState {
  return 'outcome' in end ? 'completed' : 'failed';
}
