/** Clients follow jobs and stop reading, or close their connections at once: the jobs and other clients go on. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { reportFault } from '../support/fault-report.ts';
import { promptFor } from '../support/http-jobs.ts';
import { allComplete, startForOutage } from '../support/outage.ts';
import { testToken } from '../support/service.ts';

const readers = Number(process.env['READERS'] ?? 20);
/** What one job prints, in bytes. It is far more than the buffers of a connection hold. */
const printedBytes = 3_000_000;

test('readers that never read, and readers that leave, cost no job and little memory', async (t) => {
  const outage = await startForOutage(t, { MAX_JOB_EVENT_BYTES: String(2 * printedBytes) });
  const { server, get } = outage;
  const { hostname, port } = new URL(server.url);
  const prompt = promptFor({ say: ['x'.repeat(10_000)], times: printedBytes / 10_000, pauseMs: 1 });
  const submit = async () => (await (await server.post('/execute', { prompt })).json()) as { job_id: string };
  const ids = await Promise.all([submit(), submit(), submit()]);
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (let reader = 0; reader < readers; reader += 1) {
    const socket = connect(Number(port), hostname);
    sockets.push(socket.on('error', () => {}));
    const { job_id: id } = ids[reader % ids.length] ?? {};
    socket.write(`GET /jobs/${id}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${testToken}\r\n\r\n`);
    // Without a listener for data, nothing is read beyond the buffers of the system.
    if (reader % 2 === 1) setTimeout(() => socket.resetAndDestroy(), reader * 5);
  }
  await allComplete(
    outage,
    ids.map(({ job_id: id }) => ({ id })),
  );
  assert.equal((await get('/ready')).status, 200);
  const rss = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${server.child.pid}/status`, 'utf8'))?.[1]) / 1024;
  t.diagnostic(`the server used at most ${Math.round(rss)} MB with ${readers} readers`);
  assert.ok(rss < 400, `${rss} MB`);
  reportFault(t, {
    ...{ fault: 'client stops reading, or resets its connection', times: readers, acknowledged: ids.length },
    ...{ lost: 0, doubled: 0, left: 0 },
  });
});
