/** The rules of a job's states and attempts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEndState, type JobState, mayFollow, mayRunAgain, type OnInterrupt } from '../../src/store/job.ts';

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

const ends: JobState[] = ['completed', 'failed', 'timeout', 'cancelled', 'interrupted'];
const allowed: Record<JobState, JobState[]> = {
  queued: ['running', 'timeout', 'cancelled'],
  running: ['queued', ...ends],
  completed: [],
  failed: [],
  timeout: [],
  cancelled: [],
  interrupted: [],
};

for (const [from, next] of Object.entries(allowed) as [JobState, JobState[]][]) {
  test(`a job that is ${from} may become ${next.join(', ') || 'nothing else'}`, () => {
    for (const to of Object.keys(allowed) as JobState[]) assert.equal(mayFollow(from, to), next.includes(to), to);
    assert.equal(isEndState(from), ends.includes(from));
  });
}
