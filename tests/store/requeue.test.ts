/** The rule by which an interrupted job may wait again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OnInterrupt } from '../../src/store/job.ts';
import { mayRunAgain } from '../../src/store/requeue.ts';

type Interrupted = { onInterrupt: OnInterrupt; attempt: number; cancelRequestedAt?: number };

for (const [rule, job, again] of [
  ['may run again with `requeue` and attempts left', { onInterrupt: 'requeue', attempt: 1 }, true],
  ['may run again before its last attempt', { onInterrupt: 'requeue', attempt: 2 }, true],
  ['may not run again after its last attempt', { onInterrupt: 'requeue', attempt: 3 }, false],
  ['may not run again with `mark`', { onInterrupt: 'mark', attempt: 1 }, false],
  ['may not run again once it is to be cancelled', { onInterrupt: 'requeue', attempt: 1, cancelRequestedAt: 1 }, false],
] as [string, Interrupted, boolean][]) {
  test(`an interrupted job that may be started 3 times ${rule}`, () => assert.equal(mayRunAgain(job, 3), again));
}
