/** The engine for several machines: PostgreSQL, with pg-boss handing out the jobs and noticing dead workers. */
import { randomUUID } from 'node:crypto';
import { type Db, PgBoss } from 'pg-boss';
import type { Sql, Value } from './database.ts';
import type { Engine, Waiting } from './engine.ts';
import type { JobStore, RunKind } from './job-store.ts';
import { Notifications } from './notifications.ts';
import { createPool, openPostgres } from './postgres-database.ts';
import { channel, listen } from './postgres-listener.ts';
import { toLost } from './rows.ts';
import { migrate } from './schema.ts';
import { SqlJobStore } from './sql-job-store.ts';

export type PostgresOptions = {
  url: string;
  /** After how long a worker that says nothing counts as gone; at least 15 s. */
  workerTimeoutMs: number;
  onError(error: unknown): void;
};

const queueSchema = 'agent_queue';
const queueNames: Record<RunKind, string> = { job: 'jobs', chat: 'chat' };
/** pg-boss takes no shorter heartbeat. Seconds. */
const shortestHeartbeat = 10;
/** How often dead workers are looked for, and what their jobs' own rows then need to follow. Seconds. */
const superviseEvery = 2;
const longestToNotice = superviseEvery + 3;
/** Numbers of PostgreSQL's advisory locks, which a whole database shares; any will do, as long as they stay. */
const locks = { migration: 7_203_411_001, submission: 7_203_411_002 };

export async function openPostgresStore(options: PostgresOptions): Promise<JobStore> {
  const pool = createPool(options.url, 10, options.onError);
  // Apart, so that what pg-boss looks up in the middle of our transactions never waits for them to end.
  const bossPool = createPool(options.url, 2, options.onError);
  const database = openPostgres(pool);
  const heartbeatSeconds = Math.max(shortestHeartbeat, Math.floor(options.workerTimeoutMs / 1000) - longestToNotice);
  const boss = new PgBoss({
    db: { executeSql: (text, values) => bossPool.query(text, values) },
    schema: queueSchema,
    schedule: false,
    superviseIntervalSeconds: superviseEvery,
    monitorIntervalSeconds: superviseEvery,
  });
  boss.on('error', options.onError);
  const close = async () => {
    await boss.stop({ graceful: false, close: false });
    await Promise.all([bossPool.end(), database.close()]);
  };
  try {
    await migrate(database, `SELECT pg_advisory_xact_lock(${locks.migration})`);
    await boss.start();
    for (const name of Object.values(queueNames)) await boss.createQueue(name, queueOptions);
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
  const notifications = new Notifications();
  const listener = listen(options.url, notifications, options.onError);

  const engine: Engine = {
    database,
    worker: randomUUID(),
    async lockSubmissions(sql) {
      await sql(`SELECT pg_advisory_xact_lock(${locks.submission})`);
    },
    async offer(sql, job) {
      const priority = bossPriority(job);
      await boss.send(queueNames[job.kind], {}, { id: job.id, priority, heartbeatSeconds, db: within(sql) });
    },
    async take(sql, kind) {
      const [job] = await boss.fetch(queueNames[kind], { db: within(sql) });
      return job?.id;
    },
    async withdraw(sql, kind, id) {
      await boss.deleteJob(queueNames[kind], id, { db: within(sql) });
    },
    touch: everySeconds(heartbeatSeconds / 4, async (kind, ids) => {
      await boss.touch(queueNames[kind], ids);
    }),
    async listLost() {
      const rows = await database.query(
        `SELECT job.id, job.attempt, job.kind FROM agent_jobs AS job
         LEFT JOIN ${queueSchema}.job AS held ON held.id = CAST(job.id AS uuid)
          AND held.name = CASE job.kind WHEN 'job' THEN '${queueNames.job}' ELSE '${queueNames.chat}' END
         WHERE job.state = 'running' AND (held.id IS NULL OR held.state <> 'active')`,
      );
      return rows.map(toLost);
    },
    announce(topics) {
      // Apart from the transaction: a notification takes a lock of the whole database while it commits.
      pool
        .query(`SELECT pg_notify('${channel}', topic) FROM unnest($1::text[]) AS topic`, [topics])
        .catch(options.onError);
    },
    async close() {
      await listener.stop();
      await close();
    },
  };
  return new SqlJobStore(engine, notifications);
}

/**
 * pg-boss repeats nothing by itself: whether a job runs again after its worker is gone is for the job to say. It keeps
 * what waits for longer than anything may wait, and lets nothing run for longer than a day.
 */
const day = 24 * 60 * 60;
const queueOptions = { retryLimit: 0, retentionSeconds: 400 * day, expireInSeconds: day, deleteAfterSeconds: 30 * day };

/** One number for priority and turn: pg-boss hands out the greatest first, and the oldest among equals. */
function bossPriority({ priority, turn }: Waiting): number {
  const turnsPerPriority = 100_000_000;
  return priority * turnsPerPriority - Math.min(turn, turnsPerPriority - 1);
}

/** Lets pg-boss work inside one of our transactions. */
function within(sql: Sql): Db {
  return { executeSql: async (text, values) => ({ rows: await sql(text, values as Value[]) }) };
}

function everySeconds(seconds: number, touch: (kind: RunKind, ids: string[]) => Promise<void>): Engine['touch'] {
  const last: Record<RunKind, number> = { job: 0, chat: 0 };
  return async (kind, claims) => {
    if (claims.length === 0 || performance.now() - last[kind] < seconds * 1000) return;
    const ids = claims.map(({ id }) => id);
    await touch(kind, ids);
    last[kind] = performance.now();
  };
}
