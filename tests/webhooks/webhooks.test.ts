/** Callbacks: signed, tried again with growing waits, to no private address, over a restart. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, test } from 'node:test';
import type { JobsOptions } from '../../src/jobs/jobs.ts';
import type { CallbackReport, JobRecord } from '../../src/store/job.ts';
import { callbackUrlProblem, isPublic, resolveCallback } from '../../src/webhooks/address.ts';
import { sendCallback } from '../../src/webhooks/request.ts';
import { type TestStores, testEngines } from '../support/job-engines.ts';
import { outcome, startJobs, type TestJobs } from '../support/jobs.ts';
import { waitUntil } from '../support/wait-until.ts';

type Received = { headers: IncomingHttpHeaders; body: string; path: string };

/** Answers with the given statuses in turn, the last one again and again. */
async function receiver(...statuses: number[]): Promise<{ url: string; received: Received[]; server: Server }> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      received.push({ headers: request.headers, body, path: request.url ?? '' });
      const status = statuses[Math.min(received.length, statuses.length) - 1] ?? 200;
      response.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end('thanks');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?x=1`, received, server };
}

async function reported(jobs: TestJobs, id: string, state: CallbackReport['state']): Promise<CallbackReport> {
  return waitUntil(`the callback is ${state}`, async () => {
    const report = (await jobs.get(id))?.callback;
    return report?.state === state ? report : undefined;
  });
}

const render = (job: JobRecord) => ({ job_id: job.id, status: job.state, result: job.result });
const callbacks = { secretOf: () => 'whsec_c2VjcmV0', allowPrivate: true, render, waitsMs: [1, 1], everyMs: 20 };

for (const engine of testEngines()) {
  type Tools = { stores: TestStores; start(options?: Partial<JobsOptions>): Promise<TestJobs> };
  const onJobs = (name: string, body: (tools: Tools) => Promise<void>) =>
    test(name, async () => {
      const stores = await engine.open();
      const started: TestJobs[] = [];
      const start = async (options?: Partial<JobsOptions>) => {
        const jobs = await startJobs(stores.store, async () => outcome('Paris'), { callbacks, ...options });
        started.push(jobs);
        return jobs;
      };
      try {
        await body({ stores, start });
      } finally {
        for (const jobs of started) await jobs.destroy();
        await stores.end();
      }
    });

  describe(`Callbacks on ${engine.name}`, { skip: engine.missing ?? false }, () => {
    after(() => engine.stop());

    onJobs('tell the final record, signed', async ({ start }) => {
      const { url, received, server } = await receiver(200);
      const jobs = await start();
      const { job } = await jobs.submit({ prompt: 'Capital?', owner: 'a', model: 'haiku', callbackUrl: url });
      const report = await reported(jobs, job.id, 'delivered');
      server.close();
      assert.deepEqual([report.attempts, report.status, received.length], [1, 200, 1]);
      const [{ headers, body, path } = { headers: {}, body: '', path: '' }] = received;
      assert.deepEqual(JSON.parse(body), { job_id: job.id, status: 'completed', result: 'Paris' });
      assert.equal(path, '/hook?x=1');
      assert.equal(headers['webhook-id'], job.id);
      const timestamp = String(headers['webhook-timestamp']);
      assert.ok(Math.abs(Date.now() / 1000 - Number(timestamp)) < 60);
      const expected = createHmac('sha256', 'secret').update(`${job.id}.${timestamp}.${body}`).digest('base64');
      assert.equal(headers['webhook-signature'], `v1,${expected}`);
    });

    onJobs('are tried again until they arrive, follow no redirect, and are given up in the end', async ({ start }) => {
      const flaky = await receiver(500, 302, 204);
      const broken = await receiver(503);
      const gone = await receiver(410);
      const jobs = await start();
      const wish = { prompt: 'Capital?', owner: 'a', model: 'haiku' };
      const ids = [];
      for (const { url } of [flaky, broken, gone]) ids.push((await jobs.submit({ ...wish, callbackUrl: url })).job.id);
      const [first = '', second = '', third = ''] = ids;
      assert.equal((await reported(jobs, first, 'delivered')).attempts, 3);
      const report = await reported(jobs, second, 'gave_up');
      assert.deepEqual([report.attempts, report.status, report.detail], [3, 503, 'the receiver answered 503']);
      assert.equal((await reported(jobs, third, 'gave_up')).attempts, 1);
      assert.deepEqual(
        flaky.received.map(({ path }) => path),
        ['/hook?x=1', '/hook?x=1', '/hook?x=1'],
      );
      for (const { server } of [flaky, broken, gone]) server.close();
    });

    onJobs('go on after a restart where they were', async ({ start, stores }) => {
      const target = await receiver(500, 200);
      const first = await start({ callbacks: { ...callbacks, waitsMs: [1500, 1500] } });
      const { job } = await first.submit({ prompt: 'Capital?', owner: 'a', model: 'haiku', callbackUrl: target.url });
      await waitUntil('the first attempt is made', () => target.received.length === 1);
      await waitUntil('it is recorded', async () => (await first.get(job.id))?.callback?.attempts === 1);
      const next = await stores.peer();
      await first.destroy();
      const second = await startJobs(next, undefined, { callbacks });
      assert.equal((await reported(second, job.id, 'delivered')).attempts, 2);
      target.server.close();
      await second.destroy();
    });
  });
}

test('no callback goes into the own network, by whatever name', async () => {
  for (const [address, family] of [
    ['10.1.2.3', 4],
    ['127.0.0.1', 4],
    ['169.254.169.254', 4],
    ['100.64.0.1', 4],
    ['255.255.255.255', 4],
    ['::1', 6],
    ['::ffff:10.0.0.1', 6],
    ['64:ff9b::a00:1', 6],
    ['2002:a00:1::', 6],
    ['fe80::1', 6],
    ['fd00::1', 6],
  ] as const) {
    assert.equal(isPublic({ address, family }), false, address);
  }
  assert.equal(isPublic({ address: '93.184.215.14', family: 4 }), true);
  assert.equal(isPublic({ address: '2606:4700::1111', family: 6 }), true);
  for (const url of [
    'http://localhost/',
    'http://x.localhost/',
    'http://0x7f.1/',
    'http://[::1]:80/',
    'http://2130706433/',
  ]) {
    assert.match(callbackUrlProblem(url, false) ?? '', /private/, url);
    assert.equal(callbackUrlProblem(url, true), undefined);
    await assert.rejects(resolveCallback(new URL(url), false), /private/);
  }
  assert.equal(callbackUrlProblem('https://example.org/hook', false), undefined);
  assert.match(callbackUrlProblem('https://user:pass@example.org/', true) ?? '', /user name/);
  assert.match(callbackUrlProblem('file:///etc/passwd', true) ?? '', /http/);
  assert.match(callbackUrlProblem('nonsense', true) ?? '', /URL/);
});

test('a receiver that cannot be reached is told of in one line', async () => {
  const { url, server } = await receiver(200);
  await new Promise((resolve) => server.close(resolve));
  const attempt = { url, id: 'j', body: '{}', secret: 's', allowPrivate: true };
  await assert.rejects(sendCallback(attempt), { message: 'ECONNREFUSED' });
  await assert.rejects(sendCallback({ ...attempt, allowPrivate: false }), { message: /private, loopback/ });
});
