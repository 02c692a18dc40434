/** Webhooks are signed, and retried with growing waits, also after a restart. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, test } from 'node:test';
import type { JobsOptions } from '../../src/jobs/jobs.ts';
import type { JobRecord, WebhookReport } from '../../src/store/job.ts';
import { sendWebhook } from '../../src/webhooks/send-webhook.ts';
import { type TestStores, testEngines } from '../support/job-engines.ts';
import { outcome, startJobs, type TestJobs } from '../support/jobs.ts';
import { waitUntil } from '../support/wait-until.ts';

type Received = { headers: IncomingHttpHeaders; body: string; path: string };

/** A receiver that answers with the given statuses one after another, and then always with the last one. */
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

async function reported(jobs: TestJobs, id: string, state: WebhookReport['state']): Promise<WebhookReport> {
  return waitUntil(`the webhook is ${state}`, async () => {
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
        const jobs = await startJobs(stores.store, async () => outcome('Paris'), { webhooks: callbacks, ...options });
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

  describe(`Webhooks on ${engine.name}`, { skip: engine.missing ?? false }, () => {
    after(() => engine.stop());

    onJobs('carry the final record and a signature', async ({ start }) => {
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

    onJobs(
      'are retried until they are delivered, follow no redirect, and are given up in the end',
      async ({ start }) => {
        const flaky = await receiver(500, 302, 204);
        const broken = await receiver(503);
        const gone = await receiver(410);
        const jobs = await start();
        const wish = { prompt: 'Capital?', owner: 'a', model: 'haiku' };
        const ids = [];
        for (const { url } of [flaky, broken, gone])
          ids.push((await jobs.submit({ ...wish, callbackUrl: url })).job.id);
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
      },
    );

    onJobs('continue after a restart where they were', async ({ start, stores }) => {
      const target = await receiver(500, 200);
      const first = await start({ webhooks: { ...callbacks, waitsMs: [1500, 1500] } });
      const { job } = await first.submit({ prompt: 'Capital?', owner: 'a', model: 'haiku', callbackUrl: target.url });
      await waitUntil('the first attempt is made', () => target.received.length === 1);
      await waitUntil('it is recorded', async () => (await first.get(job.id))?.callback?.attempts === 1);
      const next = await stores.peer();
      await first.destroy();
      const second = await startJobs(next, undefined, { webhooks: callbacks });
      assert.equal((await reported(second, job.id, 'delivered')).attempts, 2);
      target.server.close();
      await second.destroy();
    });
  });
}

test('the reason why a receiver cannot be reached is one line without addresses', async () => {
  const { url, server } = await receiver(200);
  await new Promise((resolve) => server.close(resolve));
  const attempt = { url, id: 'j', body: '{}', secret: 's', allowPrivate: true };
  await assert.rejects(sendWebhook(attempt), { message: 'ECONNREFUSED' });
  await assert.rejects(sendWebhook({ ...attempt, allowPrivate: false }), { message: /private, loopback/ });
});
