/** The embedded engine: the store is one SQLite file, which one process uses. */
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine } from './engine.ts';
import type { JobStore } from './job-store.ts';
import { toLost } from './rows.ts';
import { migrate } from './schema.ts';
import { SqlJobStore } from './sql-job-store.ts';
import { openSqlite } from './sqlite-database.ts';
import { StoreClock } from './store-clock.ts';
import { type HealthLog, StoreHealth } from './store-health.ts';

/** @param folder a folder inside the data folder, which the caller has locked with `lockFolder` */
export async function openEmbeddedStore(folder: string, log: HealthLog): Promise<JobStore> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const health = new StoreHealth(log);
  const database = health.observe(openSqlite(join(folder, 'jobs.sqlite')));
  await migrate(database);
  const clock = new StoreClock(() => Date.now());
  await clock.refresh();
  const worker = randomUUID();
  const engine: Engine = {
    database,
    clock,
    worker,
    // The queue needs no entries, because the rows themselves are the queue: a run waits while its state is `queued`.
    lockSubmissions: async () => {},
    enqueue: async () => {},
    removeFromQueue: async () => {},
    heartbeat: async () => {},
    announce: () => {},
    async takeNext(sql, kind) {
      const waiting = `SELECT id FROM agent_jobs WHERE kind = $1 AND state = 'queued'`;
      // Only jobs that have waited for the end of a cause, or were interrupted, have a value in `ending`.
      const [row] = await sql(`${waiting} AND ending IS NULL ORDER BY priority DESC, turn, id LIMIT 1`, [kind]);
      if (row) return String(row['id']);
      const notBefore = `coalesce(json_extract(ending, '$.notBefore'), 0)`;
      const [tried] = await sql(
        `${waiting} AND ending IS NOT NULL AND ${notBefore} <= $2 ORDER BY ${notBefore}, priority DESC, turn, id LIMIT 1`,
        [kind, clock.now()],
      );
      return tried && String(tried['id']);
    },
    // The machine may have slept, or its clock was wrong. In both cases no run had a chance to start meanwhile.
    async clockStepped(ms) {
      await database.transaction('durable', (sql) =>
        sql(`UPDATE agent_jobs SET wait_until = wait_until + $1 WHERE finished_at IS NULL AND wait_until IS NOT NULL`, [
          ms,
        ]),
      );
    },
    // No other process may open this file, so a run with another worker's name belongs to a process that is gone.
    async listLost() {
      const rows = await database.query(
        `SELECT id, attempt, kind FROM agent_jobs WHERE state = 'running' AND worker <> $1`,
        [worker],
      );
      return rows.map(toLost);
    },
    close: () => database.close(),
  };
  return new SqlJobStore(engine, health);
}
