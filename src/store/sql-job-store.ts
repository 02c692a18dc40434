/** Implements the job store in SQL, with the same code for both engines. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ServiceError } from '../errors.ts';
import type { Owner } from '../task.ts';
import { appendEvents } from './append-events.ts';
import { cancel } from './cancel.ts';
import { createChatStore } from './chat-requests.ts';
import type { ChatStore } from './chat-store.ts';
import { claimNext } from './claim.ts';
import type { Sql, Value } from './database.ts';
import { recordWebhook, takeDueWebhooks } from './due-webhooks.ts';
import type { Engine } from './engine.ts';
import { expireWaiting } from './expire.ts';
import { finish } from './finish.ts';
import { heartbeat } from './heartbeat.ts';
import type {
  JobEnd,
  JobFilter,
  JobPage,
  JobRecord,
  JobSpec,
  JobState,
  JobSummary,
  Setbacks,
  StoredEvent,
  WebhookReport,
} from './job.ts';
import type { JobStore, Outlook, Retention, SubmitOptions } from './job-store.ts';
import { keepSecret } from './keep-secret.ts';
import { Notifications } from './notifications.ts';
import { outlook, positions } from './outlook.ts';
import { recoverLost } from './recover.ts';
import { removeOld } from './remove-old.ts';
import { requeue } from './requeue.ts';
import { recordColumns, summaryColumns, toEvent, toRecord, toSummary } from './rows.ts';
import type { StoreHealth } from './store-health.ts';
import type { Claim, NewEvent, RunKind } from './stored-run.ts';
import { checkBounds, countWaiting, submit } from './submit.ts';

/** How many jobs of a list are read by one statement. */
const readAtOnce = 20;

export class SqlJobStore implements JobStore {
  readonly engine: Engine;
  readonly notifications: Notifications;
  readonly chats: ChatStore;
  readonly #health: Pick<StoreHealth, 'problem'>;
  readonly #sql: Sql;
  #closed: Promise<void> | undefined;

  /** @param notifications the object through which the engine passes on the notifications of other processes */
  constructor(
    engine: Engine,
    health: Pick<StoreHealth, 'problem'>,
    notifications: Notifications = new Notifications(),
  ) {
    this.engine = engine;
    this.#health = health;
    this.notifications = notifications;
    this.#sql = engine.database.query;
    this.chats = createChatStore(this);
  }

  get problem(): ServiceError | undefined {
    return this.#health.problem;
  }

  now(): number {
    return this.engine.clock.now();
  }

  async probe(): Promise<void> {
    await this.engine.database.transaction('durable', (sql) => sql('UPDATE agent_schema SET version = version'));
  }

  submit(spec: JobSpec, options: SubmitOptions) {
    return submit(this, spec, options);
  }

  checkRoom(owner: Owner, options: Omit<SubmitOptions, 'fingerprint'>): Promise<void> {
    return checkBounds(this.#sql, owner, options);
  }

  async get(id: string): Promise<JobRecord | undefined> {
    const [row] = await this.#sql(`SELECT ${recordColumns} FROM agent_jobs WHERE id = $1 AND kind = 'job'`, [id]);
    return row && toRecord(row);
  }

  async list({ state, agent, owner, idPrefix, limit, cursor }: JobFilter): Promise<JobPage> {
    const values: Value[] = [];
    const where = [`kind = 'job'`];
    const only = (condition: string, value: Value | undefined) => {
      if (value !== undefined) where.push(`${condition} $${values.push(value)}`);
    };
    only('state =', state);
    only('agent =', agent);
    only('owner =', owner);
    only('id <', cursor);
    only('id LIKE', idPrefix && `${idPrefix}%`);
    const ids = await this.#sql(
      `SELECT id FROM agent_jobs WHERE ${where.join(' AND ')} ORDER BY id DESC LIMIT $${values.push(limit + 1)}`,
      values,
    );
    const page = ids.slice(0, limit).map((row) => String(row['id']));
    const jobs: JobSummary[] = [];
    for (let at = 0; at < page.length; at += readAtOnce) {
      // Each job may have 64 KB of metadata, so other work goes on between two groups.
      if (at > 0) await nextTurn();
      const group = page.slice(at, at + readAtOnce);
      const marks = group.map((_, index) => `$${index + 1}`).join(', ');
      const rows = await this.#sql(
        `SELECT ${summaryColumns} FROM agent_jobs WHERE id IN (${marks}) ORDER BY id DESC`,
        group,
      );
      jobs.push(...rows.map(toSummary));
    }
    const last = page.at(-1);
    return { jobs, ...(ids.length > limit && last !== undefined && { nextCursor: last }) };
  }

  countWaiting(): Promise<number> {
    return countWaiting(this.#sql, 'job');
  }

  positions(): Promise<Map<string, number>> {
    return positions(this.#sql);
  }

  outlook(id: string): Promise<Outlook | undefined> {
    return outlook(this.#sql, id);
  }

  async patch(id: string): Promise<string | undefined> {
    const [row] = await this.#sql('SELECT patch FROM agent_job_patches WHERE job_id = $1', [id]);
    return row && String(row['patch']);
  }

  async state(id: string): Promise<JobState | undefined> {
    const [row] = await this.#sql('SELECT state FROM agent_jobs WHERE id = $1', [id]);
    return row && (row['state'] as JobState);
  }

  async events(id: string, after: number, limit: number): Promise<StoredEvent[]> {
    const rows = await this.#sql(
      'SELECT seq, at, body FROM agent_job_events WHERE job_id = $1 AND seq > $2 ORDER BY seq LIMIT $3',
      [id, after, limit],
    );
    return rows.map(toEvent);
  }

  async hasWaiting(kind: RunKind): Promise<boolean> {
    const rows = await this.#sql(`SELECT 1 AS one FROM agent_jobs WHERE kind = $1 AND state = 'queued' LIMIT 1`, [
      kind,
    ]);
    return rows.length > 0;
  }

  async claim(): Promise<JobRecord | undefined> {
    const row = await claimNext(this, 'job', recordColumns);
    return row && toRecord(row);
  }

  heartbeat(kind: RunKind, claims: Claim[]) {
    return heartbeat(this, kind, claims);
  }

  appendEvents(claim: Claim, lastSeq: number, events: NewEvent[]): Promise<boolean> {
    return appendEvents(this, claim, lastSeq, events);
  }

  finish(claim: Claim, end: JobEnd): Promise<boolean> {
    return finish(this, claim, end);
  }

  requeue(claim: Claim, setbacks?: Setbacks): Promise<boolean> {
    return requeue(this, 'job', claim, setbacks);
  }

  async cancel(id: string) {
    const result = await cancel(this, id);
    const job = await this.get(id);
    return job && { result, job };
  }

  recoverLost(limits: { maxAttempts: number }): Promise<number> {
    return recoverLost(this, limits);
  }

  expireWaiting(cause?: string): Promise<number> {
    return expireWaiting(this, cause);
  }

  removeOld(retention: Retention): Promise<string[]> {
    return removeOld(this.engine, retention);
  }

  takeDueWebhooks(limit: number, leaseMs: number): Promise<JobRecord[]> {
    return takeDueWebhooks(this.engine, limit, leaseMs);
  }

  recordWebhook(id: string, report: WebhookReport): Promise<void> {
    return recordWebhook(this.engine, id, report);
  }

  keepSecret(name: string, offered: string): Promise<string> {
    return keepSecret(this.engine.database, name, offered);
  }

  close(): Promise<void> {
    this.#closed ??= this.engine.close();
    return this.#closed;
  }
}
