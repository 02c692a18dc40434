/** Creates the tables of the job store in steps. A store that an earlier version made gets the missing steps. */
import type { Database } from './database.ts';

/**
 * The steps that create and upgrade the tables. New steps are added at the end, and a released step never changes. Both
 * engines accept every statement. Times are in milliseconds since 1970. `turn` is the round in which a waiting run is
 * served, not an agent's turn. A lower round is served first, so that owners alternate within one priority. Do not
 * rename the columns `turn`, `callback` and `callback_due_at`: the machines of a fleet are upgraded one at a time, so
 * servers of two versions use the same tables.
 */
const steps: string[][] = [
  [
    `CREATE TABLE agent_jobs (
      id TEXT PRIMARY KEY,
      kind TEXT NOT NULL,
      state TEXT NOT NULL,
      owner TEXT NOT NULL,
      agent TEXT,
      priority INTEGER NOT NULL,
      turn INTEGER NOT NULL,
      attempt INTEGER NOT NULL,
      worker TEXT,
      created_at BIGINT NOT NULL,
      wait_until BIGINT,
      started_at BIGINT,
      finished_at BIGINT,
      cancel_requested_at BIGINT,
      idempotency_key TEXT,
      fingerprint TEXT NOT NULL,
      last_seq INTEGER NOT NULL,
      attempt_seq INTEGER NOT NULL,
      bytes BIGINT NOT NULL,
      callback_due_at BIGINT,
      callback TEXT,
      prompt TEXT NOT NULL,
      spec TEXT NOT NULL,
      output TEXT NOT NULL,
      stderr TEXT NOT NULL,
      result TEXT,
      ending TEXT
    )`,
    `CREATE UNIQUE INDEX agent_jobs_idempotency ON agent_jobs (owner, idempotency_key)
      WHERE idempotency_key IS NOT NULL`,
    `CREATE INDEX agent_jobs_waiting ON agent_jobs (kind, priority DESC, turn, id) WHERE state = 'queued'`,
    `CREATE INDEX agent_jobs_running ON agent_jobs (worker) WHERE state = 'running'`,
    `CREATE INDEX agent_jobs_finished ON agent_jobs (finished_at, bytes) WHERE finished_at IS NOT NULL`,
    `CREATE INDEX agent_jobs_callbacks ON agent_jobs (callback_due_at) WHERE callback_due_at IS NOT NULL`,
    `CREATE INDEX agent_jobs_by_state ON agent_jobs (kind, state, id)`,
    `CREATE TABLE agent_job_events (
      job_id TEXT NOT NULL,
      seq INTEGER NOT NULL,
      at BIGINT NOT NULL,
      body TEXT NOT NULL,
      PRIMARY KEY (job_id, seq)
    )`,
    `CREATE TABLE agent_job_patches (
      job_id TEXT PRIMARY KEY,
      patch TEXT NOT NULL
    )`,
  ],
  [
    `CREATE TABLE agent_secrets (
      name TEXT PRIMARY KEY,
      secret TEXT NOT NULL
    )`,
  ],
];

/**
 * Runs the steps that the store does not have yet.
 * @param lock a statement that takes a lock until the transaction ends, so that two processes do not migrate at once
 */
export async function migrate(database: Database, lock?: string): Promise<void> {
  await database.transaction('durable', async (sql) => {
    if (lock) await sql(lock);
    await sql('CREATE TABLE IF NOT EXISTS agent_schema (version INTEGER NOT NULL)');
    const [row] = await sql('SELECT max(version) AS version FROM agent_schema');
    const version = Number(row?.['version'] ?? 0);
    if (version > steps.length) {
      throw new Error(
        `Cannot open the job store: its tables have version ${version}, and this server knows versions up to ${steps.length}`,
      );
    }
    for (const [at, statements] of steps.entries()) {
      if (at < version) continue;
      for (const statement of statements) await sql(statement);
      await sql('INSERT INTO agent_schema (version) VALUES ($1)', [at + 1]);
    }
  });
}
