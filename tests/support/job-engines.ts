/** Both engines of the job store, each opened on an empty folder or database; a suite runs in full on each. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { JobSpec } from '../../src/store/job.ts';
import type { JobStore } from '../../src/store/job-store.ts';
import { openPostgresStore } from '../../src/store/postgres-engine.ts';
import { openEmbeddedStore } from '../../src/store/sqlite-engine.ts';
import type { HealthLog } from '../../src/store/store-health.ts';
import { postgresMissing, startPostgres, type TestPostgres } from './postgres.ts';
import { waitUntil } from './wait-until.ts';

/** A log for stores that nobody reads. */
export const silent: HealthLog = { failed: () => {}, works: () => {} };

export type TestStores = {
  /** The store, opened as by one process. */
  store: JobStore;
  /** Opens it again, as another process does that shares it. */
  peer(): Promise<JobStore>;
  /** Opens it as the next process does after the process of `store` was killed. */
  afterCrash(): Promise<JobStore>;
  /** Closes all opened stores and removes their data. */
  end(): Promise<void>;
};

export type TestEngine = {
  name: string;
  /** Why the suite cannot run on it here; on CI that is a failure instead. */
  missing: string | undefined;
  open(): Promise<TestStores>;
  /** Stops the engine after the suite. */
  stop(): Promise<void>;
};

export function testEngines(): TestEngine[] {
  return [{ name: 'SQLite', missing: undefined, open: openSqlite, stop: async () => {} }, postgresEngine()];
}

async function openSqlite(): Promise<TestStores> {
  const folder = await mkdtemp(join(tmpdir(), 'jobs-'));
  const opened: JobStore[] = [];
  const open = async () => {
    const store = await openEmbeddedStore(folder, silent);
    opened.push(store);
    return store;
  };
  return {
    store: await open(),
    peer: open,
    afterCrash: open,
    async end() {
      for (const store of opened) await store.close();
      await rm(folder, { recursive: true });
    },
  };
}

function postgresEngine(): TestEngine {
  let started: Promise<{ server: TestPostgres; template: string }> | undefined;
  return {
    name: 'PostgreSQL',
    missing: process.env['CI'] ? undefined : postgresMissing(),
    async open() {
      started ??= startWithTemplate();
      const { server, template } = await started;
      return openDatabase((await server.createDatabase(template)).url);
    },
    async stop() {
      await (await started)?.server.stop();
    },
  };
}

/** The tables are made once; every test gets a copy. */
async function startWithTemplate(): Promise<{ server: TestPostgres; template: string }> {
  const server = await startPostgres();
  const { name, url } = await server.createDatabase();
  await (await openStore(url)).close();
  return { server, template: name };
}

async function openDatabase(url: string): Promise<TestStores> {
  const opened: JobStore[] = [];
  const open = async () => {
    const store = await openStore(url);
    opened.push(store);
    return store;
  };
  const store = await open();
  const admin = new pg.Client(url);
  await admin.connect();
  return {
    store,
    peer: open,
    async afterCrash() {
      // Backdates the heartbeats of all running jobs, so that pg-boss fails them.
      const noticed = async () => {
        await admin.query(`UPDATE agent_queue.job SET heartbeat_on = now() - interval '1 hour' WHERE state = 'active'`);
        return (await admin.query(`SELECT 1 FROM agent_queue.job WHERE state = 'active'`)).rowCount === 0;
      };
      await waitUntil('pg-boss has noticed', noticed);
      return open();
    },
    async end() {
      await admin.end();
      for (const store of opened) await store.close();
    },
  };
}

function openStore(url: string): Promise<JobStore> {
  return openPostgresStore({ url, workerTimeoutMs: 30_000, onError: (error) => console.error(error), log: silent });
}

export function jobSpec(given: Partial<JobSpec> = {}): JobSpec {
  return {
    prompt: 'Count the files',
    owner: 'a',
    model: 'haiku',
    limits: { runMs: 60_000, stallMs: 0, waitMs: 0, budgetUsd: 1 },
    priority: 0,
    onInterrupt: 'mark',
    ...given,
  };
}
