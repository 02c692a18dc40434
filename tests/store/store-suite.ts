/** What the tests of the job store share: they run on every engine. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { ServiceError } from '../../src/errors.ts';
import type { JobEnd, JobRecord, StoredEvent } from '../../src/store/job.ts';
import type { JobStore } from '../../src/store/job-store.ts';
import type { Claim } from '../../src/store/stored-run.ts';
import { jobSpec, type TestStores, testEngines } from '../support/job-engines.ts';

export const unlimited = { maxWaiting: 1000, fingerprint: 'the same' };
export const completed: JobEnd = { state: 'completed', output: 'There are 3.', stderr: '', result: 'There are 3.' };

export const codeIs = (code: string) => (error: unknown) => error instanceof ServiceError && error.code === code;

export async function submit(store: JobStore, given: Parameters<typeof jobSpec>[0] = {}): Promise<JobRecord> {
  return (await store.submit(jobSpec(given), unlimited)).job;
}

export async function claim(store: JobStore): Promise<JobRecord & Claim> {
  const job = await store.claim();
  assert.ok(job);
  return job;
}

export async function eventsOf(store: JobStore, id: string): Promise<StoredEvent[]> {
  return store.events(id, 0, 10_000);
}

export async function runThrough(
  store: JobStore,
  given: Parameters<typeof jobSpec>[0] = {},
  end = completed,
): Promise<JobRecord> {
  await submit(store, given);
  const job = await claim(store);
  assert.ok(await store.finish(job, end));
  return job;
}

type OnStore = (name: string, body: (store: JobStore, stores: TestStores) => Promise<void>) => void;

/** Each test gets a store of its own. */
export function describeStore(title: string, tests: (onStore: OnStore) => void): void {
  for (const engine of testEngines()) {
    describe(`${title}, on ${engine.name}`, { skip: engine.missing ?? false }, () => {
      after(() => engine.stop());
      tests((name, body) =>
        test(name, async () => {
          const stores = await engine.open();
          try {
            await body(stores.store, stores);
          } finally {
            await stores.end();
          }
        }),
      );
    });
  }
}
