/** The engine for several machines: PostgreSQL, with pg-boss as its queue. pg-boss also notices dead workers. */
import { randomUUID } from 'node:crypto';
import { type Db, PgBoss } from 'pg-boss';
import type { Sql, Value } from './database.ts';
import type { Engine, Waiting } from './engine.ts';
import type { JobStore } from './job-store.ts';
import { Notifications } from './notifications.ts';
import { createPool, openPostgres, usualWaits, type WaitLimits } from './postgres-database.ts';
import { channel, listen } from './postgres-listener.ts';
import { toLost } from './rows.ts';
import { migrate } from './schema.ts';
import { SqlJobStore } from './sql-job-store.ts';
import { StoreClock } from './store-clock.ts';
import { type HealthLog, StoreHealth } from './store-health.ts';
import type { Claim, RunKind } from './stored-run.ts';

export type PostgresOptions = {
  url: string;
  /** How long a worker may be silent before it counts as gone, in milliseconds. At least 15 s. */
  workerTimeoutMs: number;
  waits?: WaitLimits;
  onError(error: unknown): void;
  log: HealthLog;
};

const queueSchema = 'agent_queue';
const queueNames: Record<RunKind, string> = { job: 'jobs', chat: 'chat' };
/** The shortest heartbeat interval that pg-boss accepts, in seconds. */
const shortestHeartbeat = 10;
/** The interval at which pg-boss looks for dead workers, in seconds. */
const superviseEvery = 2;
/** The longest time from a worker's missed heartbeat until its runs are recovered, in seconds. */
const longestToNotice = superviseEvery + 3;
/**
 * The numbers of the advisory locks, which are common to a whole database. The numbers are arbitrary, but must never
 * change.
 */
const locks = { migration: 7_203_411_001, submission: 7_203_411_002 };

export async function openPostgresStore(options: PostgresOptions): Promise<JobStore> {
  const { waits = usualWaits } = options;
  const pool = createPool(options.url, 10, waits, options.onError);
  // pg-boss gets a separate pool, because it makes queries while our transactions run and must not wait for their
  // connections.
  const bossPool = createPool(options.url, 2, waits, options.onError);
  const health = new StoreHealth(options.log);
  const database = health.observe(openPostgres(pool));
  const clock = new StoreClock(async () => {
    const [row] = await database.query('SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now');
    return Number(row?.['now']);
  });
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
    await clock.refresh();
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
    clock,
    worker: randomUUID(),
    async lockSubmissions(sql) {
      await sql(`SELECT pg_advisory_xact_lock(${locks.submission})`);
    },
    async enqueue(sql, run) {
      const priority = run.notBefore === undefined ? bossPriority(run) : lastPriority;
      await boss.send(
        queueNames[run.kind],
        {},
        {
          ...{ id: run.id, priority, heartbeatSeconds, db: within(sql) },
          ...(run.notBefore !== undefined && { startAfter: new Date(run.notBefore) }),
        },
      );
    },
    async takeNext(sql, kind) {
      const [job] = await boss.fetch(queueNames[kind], { db: within(sql) });
      return job?.id;
    },
    async removeFromQueue(sql, kind, id) {
      await boss.deleteJob(queueNames[kind], id, { db: within(sql) });
    },
    heartbeat: everySeconds(heartbeatSeconds / 4, async (kind, ids) => {
      await boss.touch(queueNames[kind], ids);
    }),
    // The limits are times of the database's clock, which is not the clock that was stepped.
    clockStepped: async () => {},
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
      // This is sent outside the transaction, because a notification locks the whole database while its transaction
      // commits.
      pool
        .query(`SELECT pg_notify('${channel}', topic) FROM unnest($1::text[]) AS topic`, [topics])
        .catch(options.onError);
    },
    async close() {
      await listener.stop();
      await close();
    },
  };
  return new SqlJobStore(engine, health, notifications);
}

/** A day, in seconds. */
const day = 24 * 60 * 60;
/**
 * The options of both queues. pg-boss retries nothing by itself, because each job says whether it may run
 * again. It keeps waiting runs for longer than a run may wait, and lets no run last longer than a day.
 */
const queueOptions = { retryLimit: 0, retentionSeconds: 400 * day, expireInSeconds: day, deleteAfterSeconds: 30 * day };

/** A priority below all that `bossPriority` returns. pg-boss takes the oldest of several such runs first. */
const lastPriority = -2_000_000_000;

/**
 * Returns priority and round as one number. pg-boss takes the run with the greatest number first, and the oldest run
 * among equal numbers.
 */
function bossPriority({ priority, round }: Waiting): number {
  const roundsPerPriority = 100_000_000;
  return priority * roundsPerPriority - Math.min(round, roundsPerPriority - 1);
}

/** Makes pg-boss run its statements inside one of our transactions. */
function within(sql: Sql): Db {
  return { executeSql: async (text, values) => ({ rows: await sql(text, values as Value[]) }) };
}

/** Returns a function that calls `touch` at most once per period and kind, although the workers report more often. */
function everySeconds(
  seconds: number,
  touch: (kind: RunKind, ids: string[]) => Promise<void>,
): (kind: RunKind, claims: Claim[]) => Promise<void> {
  const last: Record<RunKind, number> = { job: 0, chat: 0 };
  return async (kind, claims) => {
    if (claims.length === 0 || performance.now() - last[kind] < seconds * 1000) return;
    const ids = claims.map(({ id }) => id);
    await touch(kind, ids);
    last[kind] = performance.now();
  };
}
