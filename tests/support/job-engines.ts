/** Both engines of the job store, each opened on something fresh; a suite runs in full on each. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobSpec } from '../../src/queue/job.ts';
import type { JobStore } from '../../src/queue/job-store.ts';
import { openEmbeddedStore } from '../../src/queue/store/sqlite-engine.ts';

export type TestStores = {
  /** The store as a process has it open. */
  store: JobStore;
  /** Opens it as the next process does after the one that has `store` open was killed. */
  afterCrash(): Promise<JobStore>;
  /** Closes all that were opened and removes what they kept. */
  end(): Promise<void>;
};

export type TestEngine = { name: string; open(): Promise<TestStores> };

export const engines: TestEngine[] = [{ name: 'SQLite', open: openSqlite }];

async function openSqlite(): Promise<TestStores> {
  const folder = await mkdtemp(join(tmpdir(), 'jobs-'));
  const opened: JobStore[] = [];
  const open = async () => {
    const store = await openEmbeddedStore(folder);
    opened.push(store);
    return store;
  };
  return {
    store: await open(),
    afterCrash: open,
    async end() {
      for (const store of opened) await store.close();
      await rm(folder, { recursive: true });
    },
  };
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
