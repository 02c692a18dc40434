/** How jobs are submitted, wait, are claimed, and get their events, on every engine. */
import assert from 'node:assert/strict';
import { errorTable, ServiceError } from '../../src/errors.ts';
import { jobSpec } from '../support/job-engines.ts';
import { waitUntil } from '../support/wait-until.ts';
import { claim, codeIs, completed, describeStore, eventsOf, runThrough, submit, unlimited } from './store-suite.ts';

describeStore('The job store', (onStore) => {
  onStore('returns a job as it was submitted, also after a crash', async (store, stores) => {
    const spec = jobSpec({
      prompt: 'Zähle 📁 "files"\n$1',
      agent: 'reviewer',
      effort: 'high',
      metadata: { ticket: 7, nested: { list: [1, null] } },
      callbackUrl: 'https://example.org/hook',
      priority: 3,
      onInterrupt: 'requeue',
      deliver: 'branch',
      idempotencyKey: 'k1',
    });
    const { job, created } = await store.submit(spec, unlimited);
    assert.equal(created, true);
    const again = await stores.afterCrash();
    for (const found of [await store.get(job.id), await again.get(job.id)]) {
      assert.deepEqual(found, job);
      const { id, state, attempt, lastSeq, createdAt, output, stderr, callback, ...rest } = job;
      assert.deepEqual(rest, spec);
      assert.deepEqual(
        { state, attempt, lastSeq, output, stderr },
        { state: 'queued', attempt: 0, lastSeq: 1, output: '', stderr: '' },
      );
      assert.deepEqual(callback, { state: 'pending', attempts: 0 });
      assert.ok(Math.abs(Date.now() - createdAt) < 60_000);
      assert.match(id, /^[0-9a-f-]{36}$/);
    }
    assert.equal(await store.get('00000000-0000-7000-8000-000000000000'), undefined);
  });

  onStore('keeps a patch as it is', async (store, stores) => {
    const controls = Array.from({ length: 0x9f }, (_, code) => String.fromCharCode(code + 1)).join('');
    const patch = `diff --git a/x b/x\r\n+ü😀\ufeff\ufffe\uffff\u2028${controls}\n\r`;
    const { id } = await runThrough(store, {}, { ...completed, workspace: { files: [], patch } });
    assert.equal(await store.patch(id), patch);
    assert.equal(await (await stores.afterCrash()).patch(id), patch);
  });

  onStore('keeps one job for one idempotency key of one owner', async (store) => {
    const same = await Promise.all(
      Array.from({ length: 8 }, () => store.submit(jobSpec({ idempotencyKey: 'k' }), unlimited)),
    );
    assert.equal(new Set(same.map(({ job }) => job.id)).size, 1);
    assert.equal(same.filter(({ created }) => created).length, 1);
    const other = await store.submit(jobSpec({ idempotencyKey: 'k', owner: 'b' }), unlimited);
    assert.equal(other.created, true);
    await assert.rejects(
      store.submit(jobSpec({ idempotencyKey: 'k' }), { ...unlimited, fingerprint: 'another' }),
      codeIs('idempotency_conflict'),
    );
  });

  onStore('refuses a job when as many wait as may wait', async (store) => {
    await runThrough(store);
    const results = await Promise.allSettled(
      Array.from({ length: 5 }, () => store.submit(jobSpec(), { ...unlimited, maxWaiting: 2 })),
    );
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 2);
    await assert.rejects(store.submit(jobSpec(), { ...unlimited, maxWaiting: 2 }), (error) => {
      assert.ok(error instanceof ServiceError);
      assert.equal(error.message, 'Cannot queue the job: 2 of 2 waiting jobs, the limit of MAX_WAITING_JOBS');
      assert.equal(errorTable[error.code].status, 429);
      assert.ok(Number(error.extra.retryAfterSeconds) >= 1);
      return true;
    });
    await claim(store);
    await submit(store);
  });

  onStore('limits the waiting jobs of one key, and reserves some for the operator', async (store) => {
    const operator = 'op';
    const bounds = { ...unlimited, maxWaiting: 10, ownerLimits: { maxWaitingPerKey: 4, reserved: 3, operator } };
    const { ownerLimits: _, ...ofOperator } = bounds;
    const many = async (owner: string) => {
      const options = owner === operator ? ofOperator : bounds;
      const tries = Array.from({ length: 12 }, () => store.submit(jobSpec({ owner }), options));
      const results = await Promise.allSettled(tries);
      const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []));
      return { taken: 12 - refused.length, messages: [...new Set(refused.map(({ message }) => message))] };
    };
    const own = 'Cannot queue the job: 4 of 4 waiting jobs of this key, the limit of MAX_WAITING_JOBS_PER_KEY';
    assert.deepEqual(await many('a'), { taken: 4, messages: [own] });
    const all =
      'Cannot queue the job: the limit of 7 waiting jobs is reached (MAX_WAITING_JOBS less RESERVED_WAITING_JOBS)';
    assert.deepEqual(await many('b'), { taken: 3, messages: [all] });
    assert.deepEqual(await many('c'), { taken: 0, messages: [all] });
    const total = 'Cannot queue the job: 10 of 10 waiting jobs, the limit of MAX_WAITING_JOBS';
    assert.deepEqual(await many(operator), { taken: 3, messages: [total] });
    // The operator's jobs count in the reserve, so they do not lessen what the other keys may have.
    await claim(store);
    assert.equal((await many('c')).taken, 1);
  });

  onStore('keeps the first secret of a name for all processes that share the store', async (store, stores) => {
    const offers = Array.from({ length: 8 }, (_, at) => store.keepSecret('root', `secret ${at}`));
    const secrets = new Set(await Promise.all(offers));
    assert.equal(secrets.size, 1);
    const peer = await stores.peer();
    assert.deepEqual(new Set([await peer.keepSecret('root', 'late')]), secrets);
    assert.equal(await store.keepSecret('another', 'a'), 'a');
  });

  onStore('gives out jobs by priority, and within one priority owners alternate', async (store) => {
    const names = new Map<string, string>();
    for (const [name, owner, priority] of [
      ['a1', 'a', 0],
      ['a2', 'a', 0],
      ['a3', 'a', 0],
      ['low', 'd', -9],
      ['b1', 'b', 0],
      ['b2', 'b', 0],
      ['high', 'a', 9],
    ] as const) {
      names.set((await submit(store, { owner, priority })).id, name);
    }
    const order: (string | undefined)[] = [];
    for (let at = 0; at < 4; at += 1) order.push(names.get((await claim(store)).id));
    // An owner that comes later is served in the current round.
    names.set((await submit(store, { owner: 'c' })).id, 'c1');
    for (let job = await store.claim(); job; job = await store.claim()) order.push(names.get(job.id));
    assert.deepEqual(order, ['high', 'a1', 'b1', 'a2', 'b2', 'c1', 'a3', 'low']);
  });

  onStore('gives each job to one worker only', async (store) => {
    const ids = new Set<string>();
    for (let at = 0; at < 20; at += 1) ids.add((await submit(store)).id);
    const claims = await Promise.all(Array.from({ length: 30 }, () => store.claim()));
    const claimed = claims.flatMap((job) => job?.id ?? []);
    assert.equal(new Set(claimed).size, claimed.length);
    for (let job = await store.claim(); job; job = await store.claim()) claimed.push(job.id);
    assert.deepEqual(new Set(claimed), ids);
    assert.equal(await store.hasWaiting('job'), false);
    assert.equal((await store.list({ state: 'running', limit: 100 })).jobs.length, 20);
  });

  onStore('knows the position of a waiting job, and its expected wait once jobs have run', async (store) => {
    const first = await submit(store);
    assert.deepEqual(await store.outlook(first.id), { position: 1 });
    const running = await claim(store);
    await waitUntil('a millisecond has passed', () => Date.now() > Number(running.startedAt) + 5);
    await store.finish(running, completed);
    await submit(store, { owner: 'a' });
    const second = await submit(store, { owner: 'a' });
    const other = await submit(store, { owner: 'b' });
    const outlook = await store.outlook(second.id);
    assert.equal(outlook?.position, 3);
    assert.ok(Number(outlook?.expectedWaitMs) >= 15);
    assert.equal((await store.outlook(other.id))?.position, 2);
    assert.equal(await store.outlook(first.id), undefined);
  });

  onStore('numbers events without gaps, writes a repeated batch once, and refuses a stale claim', async (store) => {
    await submit(store);
    const job = await claim(store);
    assert.equal(job.lastSeq, 2);
    const batch = Array.from({ length: 45 }, (_, at) => ({ at, body: { type: 'text', text: `${at}` } as const }));
    assert.equal(await store.appendEvents(job, 2, batch), true);
    assert.equal(await store.appendEvents(job, 2, batch), true);
    assert.equal(await store.appendEvents({ id: job.id, attempt: 2 }, 47, batch), false);
    await store.finish(job, completed);
    assert.equal(await store.appendEvents(job, 48, batch), false);
    const events = await eventsOf(store, job.id);
    assert.deepEqual(
      events.map(({ seq }) => seq),
      Array.from({ length: 48 }, (_, at) => at + 1),
    );
    assert.deepEqual(events.map((event) => (event.type === 'state' ? event.state : '')).filter(Boolean), [
      'queued',
      'running',
      'completed',
    ]);
    assert.equal(
      events.map((event) => (event.type === 'text' ? event.text : '')).join(''),
      batch.map(({ at }) => at).join(''),
    );
  });
});
