/** Checks many random runs: `npm run test:bytes -- --runs 20000 --seed 1`. Prints each run that lost or changed a byte. */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { checkRuns, runsPerRepository } from '../tests/support/random-work.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '1000' }, seed: { type: 'string' }, jobs: { type: 'string' } },
});
const first = Number(values.seed ?? Math.floor(Math.random() * 1e9));
const runs = Number(values.runs);
console.log(`seed ${first}, ${runs} runs`);
const reasons = new Map<string, number>();
let [done, failed, delivered] = [0, 0, 0];
let next = first;

async function work(): Promise<void> {
  while (next < first + runs) {
    const end = Math.min(first + runs, next - (next % runsPerRepository) + runsPerRepository);
    const numbers = Array.from({ length: end - next }, (_, at) => next + at);
    next = end;
    for (const checked of await checkRuns(numbers)) {
      done += 1;
      if (checked.delivered) delivered += 1;
      for (const reason of new Set(checked.named)) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      if (checked.problems.length === 0) continue;
      failed += 1;
      console.log(`run ${checked.number}: ${checked.problems.slice(0, 3).join('; ')}`);
    }
  }
}

await Promise.all(Array.from({ length: Number(values.jobs ?? availableParallelism()) }, work));
console.log(`${done} runs, ${delivered} of them delivered, ${failed} with a loss`);
console.log('runs in which the record names files, by reason:', Object.fromEntries(reasons));
process.exitCode = failed > 0 ? 1 : 0;
