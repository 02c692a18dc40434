/** Chat requests as rows beside the jobs: the same turns, claims and events, and gone soon after their end. */
import { ServiceError } from '../errors.ts';
import type { Task } from '../task.ts';
import { change, changeOrUndo, type Store } from './change.ts';
import { changeState, insertEvents } from './change-state.ts';
import type { ChatClaim, ChatEnd, ChatStore } from './chat-store.ts';
import type { EndState } from './job.ts';
import type { Claim } from './job-store.ts';
import { appendEvents, claimNext, requeue } from './runs.ts';
import { countWaiting, nextTurn } from './submit.ts';
import { orderedUuid } from './uuid.ts';
import { cancel } from './waiting.ts';

export function createChatStore(store: Store): ChatStore {
  const { query } = store.engine.database;
  return {
    submit: (task, limits) => submit(store, task, limits),
    async keep(id, leaseMs) {
      await query(`UPDATE agent_jobs SET wait_until = $1 WHERE id = $2 AND state IN ('queued', 'running')`, [
        Date.now() + leaseMs,
        id,
      ]);
    },
    withdraw: (id) =>
      change(store, ({ sql }) => changeState(sql, { id, from: 'queued', to: 'cancelled', at: Date.now() })),
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
      const { id, attempt, last_seq: events, spec } = row;
      const task = JSON.parse(String(spec)) as Task;
      return { id: String(id), attempt: Number(attempt), events: Number(events), task } satisfies ChatClaim;
    },
    appendEvents: (claim, lastSeq, events) => appendEvents(store, claim, lastSeq, events),
    finish: (claim, end) => finishChat(store, claim, end),
    requeue: (claim) => requeue(store, 'chat', claim),
  };
}

export async function finishChat(store: Store, { id, attempt }: Claim, end: ChatEnd): Promise<boolean> {
  return changeOrUndo(store, async ({ sql, tell }) => {
    await store.engine.withdraw(sql, 'chat', id);
    tell(`job:${id}`);
    const set = { ending: JSON.stringify(end) };
    return changeState(sql, { id, from: 'running', to: stateOf(end), attempt, at: Date.now(), set });
  });
}

function stateOf(end: ChatEnd): EndState {
  return 'outcome' in end ? 'completed' : 'failed';
}

async function submit(
  store: Store,
  task: Task,
  { maxWaiting, leaseMs }: { maxWaiting: number; leaseMs: number },
): Promise<string> {
  return change(store, async ({ sql, tell }) => {
    await store.engine.lockSubmissions(sql);
    if ((await countWaiting(sql, 'chat')) >= maxWaiting) {
      throw new ServiceError('queue_full', `Cannot queue the run: ${maxWaiting} of ${maxWaiting} places taken`, {
        retryAfterSeconds: 5,
      });
    }
    const id = orderedUuid();
    const now = Date.now();
    const turn = await nextTurn(sql, 'chat', { owner: task.owner, priority: 0 });
    await store.engine.offer(sql, { id, kind: 'chat', priority: 0, turn });
    await sql(
      `INSERT INTO agent_jobs (id, kind, state, owner, priority, turn, attempt, created_at, wait_until, fingerprint,
        last_seq, attempt_seq, bytes, prompt, spec, output, stderr)
       VALUES ($1, 'chat', 'queued', $2, 0, $3, 0, $4, $5, '', 1, 0, 0, '', $6, '', '')`,
      [id, task.owner, turn, now, now + leaseMs, JSON.stringify(task)],
    );
    await insertEvents(sql, id, 1, [{ at: now, body: { type: 'state', state: 'queued', attempt: 0 } }]);
    tell('work');
    return id;
  });
}
