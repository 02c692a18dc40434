/** A store that cannot be used is reported as such within a limit, says why, and works again when the cause is gone. */
import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import pg from 'pg';
import { ServiceError } from '../../src/errors.ts';
import type { JobStore } from '../../src/store/job-store.ts';
import { openJobStore } from '../../src/store/open-store.ts';
import { openPostgresStore } from '../../src/store/postgres-engine.ts';
import { openEmbeddedStore } from '../../src/store/sqlite-engine.ts';
import { StoreHealth } from '../../src/store/store-health.ts';
import { silent } from '../support/job-engines.ts';
import { postgresMissing, startPostgres } from '../support/postgres.ts';
import { waitUntil } from '../support/wait-until.ts';
import { submit } from './store-suite.ts';

async function scratch(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'store-'));
  await work(folder).finally(() => rm(folder, { recursive: true }));
}

const unavailable = (why: RegExp) => (error: unknown) =>
  error instanceof ServiceError && error.code === 'store_unavailable' && why.test(error.message);

async function checkOutage(store: JobStore, why: RegExp): Promise<void> {
  await assert.rejects(submit(store), unavailable(why));
  assert.match(store.problem?.message ?? '', why);
}

test('A removed or replaced file is an outage, and no job is accepted that would be lost', () =>
  scratch(async (folder) => {
    const store = await openEmbeddedStore(folder, silent);
    await submit(store);
    const file = join(folder, 'jobs.sqlite');
    await rename(file, `${file}.away`);
    await checkOutage(store, /removed or replaced/);
    await writeFile(file, '');
    await checkOutage(store, /removed or replaced/);
    await rm(file);
    await rename(`${file}.away`, file);
    await submit(store);
    await waitUntil('the store counts as usable', () => submit(store).then(() => store.problem === undefined));
    await store.close();
  }));

test('A file that is no database is an error that names the folder and the remedy', () =>
  scratch(async (folder) => {
    await openEmbeddedStore(join(folder, 'jobs'), silent).then((store) => store.close());
    await writeFile(join(folder, 'jobs', 'jobs.sqlite'), 'This is a text, not a database.'.repeat(100));
    const options = { dataDir: folder, databaseUrl: undefined, workerTimeoutMs: 1, onError: () => {}, log: silent };
    await assert.rejects(openJobStore(options), (error: Error) => {
      assert.match(error.message, /its file is not an SQLite database/);
      assert.match(error.message, new RegExp(`${join(folder, 'jobs')}.*move this folder away`));
      assert.doesNotMatch(error.message, /\n/);
      return true;
    });
  }));

test('A failing write stays known while reads succeed, and ends with the next write', async () => {
  const told: string[] = [];
  const health = new StoreHealth({ failed: ({ message }) => told.push(message), works: () => told.push('works') }, 0);
  let full = true;
  let broken = false;
  const database = health.observe({
    query: async () => {
      if (broken) throw new ServiceError('store_unavailable', 'the file is damaged');
      return [];
    },
    transaction: async (_durability, work) => {
      if (full) throw new ServiceError('store_unavailable', 'the disk is full');
      return work(async () => []);
    },
    close: async () => {},
  });
  const write = () => database.transaction('durable', async () => {});
  for (let time = 0; time < 3; time += 1) {
    await assert.rejects(write());
    await database.query('SELECT 1');
  }
  assert.equal(health.problem?.message, 'the disk is full');
  full = false;
  await write();
  broken = true;
  await assert.rejects(database.query('SELECT 1'));
  assert.equal(health.problem?.message, 'the file is damaged');
  await write();
  assert.equal(health.problem, undefined);
  assert.deepEqual(told, ['the disk is full', 'works', 'the file is damaged', 'works']);
});

test('PostgreSQL', { skip: process.env['CI'] ? false : (postgresMissing() ?? false) }, async (t) => {
  const server = await startPostgres();
  const { url } = await server.createDatabase();
  const waits = { answerMs: 700, lockMs: 300 };
  const store = await openPostgresStore({ url, workerTimeoutMs: 30_000, onError: () => {}, log: silent, waits });
  const works = () => submit(store).then(Boolean, () => false);
  t.after(async () => {
    server.thaw();
    await store.close();
    await server.stop();
  });

  await t.test('with locked tables is an outage that says so', async () => {
    const admin = new pg.Client(url);
    await admin.connect();
    await admin.query('BEGIN; LOCK TABLE agent_jobs IN ACCESS EXCLUSIVE MODE');
    await checkOutage(store, /tables are locked/);
    await admin.end();
    await waitUntil('jobs are accepted again', works);
    await waitUntil('the store counts as usable', () => submit(store).then(() => store.problem === undefined));
  });

  await t.test('that is frozen is an outage that says so, also on connections in use', async () => {
    server.freeze();
    for (let time = 0; time < 3; time += 1) await checkOutage(store, /does not answer/);
    server.thaw();
    await waitUntil('jobs are accepted again', works);
    await waitUntil('the store counts as usable', () => submit(store).then(() => store.problem === undefined));
  });

  await t.test('that is read-only is an outage that says so', async () => {
    const admin = new pg.Client(url);
    await admin.connect();
    const database = new URL(url).pathname.slice(1);
    await admin.query(`ALTER DATABASE ${database} SET default_transaction_read_only = on`);
    await admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = '${database}'`,
    );
    await waitUntil('the connections were made again', () =>
      submit(store).then(
        () => false,
        (error: unknown) => unavailable(/read-only/)(error),
      ),
    );
    await admin.query(`SET default_transaction_read_only = off`);
    await admin.query(`ALTER DATABASE ${database} RESET default_transaction_read_only`);
    await admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = '${database}'`,
    );
    await admin.end();
    await waitUntil('jobs are accepted again', works);
  });
});
