/** Random repositories and edits: every byte is in the patch and in the branch, or the record names the file. */
import assert from 'node:assert/strict';
import { accessSync, constants } from 'node:fs';
import { before, describe, test } from 'node:test';
import { checkRuns, runsPerRepository } from '../support/random-work.ts';

const runs = 500;
const seed = Number(process.env['RANDOM_WORK_SEED'] ?? Math.floor(Math.random() * 1e6) * runs);

describe(`${runs} random runs from RANDOM_WORK_SEED=${seed}`, { concurrency: true }, () => {
  before(() => {
    try {
      // Files in memory are made and removed much faster.
      accessSync('/dev/shm', constants.W_OK);
      process.env['TMPDIR'] = '/dev/shm';
    } catch {
      // There is no such folder on some systems.
    }
  });

  for (const part of [0, 1]) {
    test(`lose and alter no byte, part ${part + 1}`, { timeout: 600_000 }, async () => {
      const first = seed + (part * runs) / 2;
      for (let next = first; next < first + runs / 2; next += runsPerRepository) {
        const numbers = Array.from({ length: runsPerRepository }, (_, at) => next + at);
        const lost = (await checkRuns(numbers)).filter(({ problems }) => problems.length > 0);
        assert.deepEqual(lost, []);
      }
    });
  }
});
