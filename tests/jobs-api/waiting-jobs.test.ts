/** How many jobs wait, as monitors see it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WaitingCount } from '../../src/jobs/waiting-count.ts';
import { execute, startBusyService } from '../support/http-jobs.ts';
import { waitUntil } from '../support/wait-until.ts';

test('/health and the metrics have the number of waiting jobs', async (t) => {
  const { service } = await startBusyService(t);
  const waiting = async () => ((await (await service.get('/health')).json()) as { jobs_waiting: number }).jobs_waiting;
  const metric = async () => /^agent_jobs_waiting (\S+)$/m.exec(await (await service.get('/metrics')).text())?.[1];
  await waitUntil('none waits', async () => (await waiting()) === 0);
  for (const prompt of ['a', 'b']) await execute(service, { prompt });
  await waitUntil('two wait', async () => (await waiting()) === 2);
  await waitUntil('the metric has two', async () => (await metric()) === '2');
});

test('a store that does not answer, or fails, makes the number unknown, and asks it once at a time', async () => {
  let asked = 0;
  const silent = new WaitingCount({
    countWaiting() {
      asked += 1;
      return new Promise(() => {});
    },
  });
  assert.deepEqual(await Promise.all([silent.get(), silent.get()]), [undefined, undefined]);
  assert.equal(await silent.get(), undefined);
  assert.equal(asked, 1);
  const failing = new WaitingCount({ countWaiting: () => Promise.reject(new Error('no store')) });
  assert.equal(await failing.get(), undefined);
});
