/** The rules of a job's states. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEndState, type JobState, mayFollow } from '../../src/store/job.ts';

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
