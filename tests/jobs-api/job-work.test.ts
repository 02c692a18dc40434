/** The changes of jobs to a repository: the real claude command with the fake model, each job in a worktree. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { requirement } from '../contract/requirements.ts';
import { git, makeClone, makeSandbox, write } from '../support/git-repositories.ts';
import { ended, eventsOf, execute } from '../support/http-jobs.ts';
import { startFakeModelService } from '../support/service.ts';

async function startOnRepository(t: TestContext) {
  const sandbox = makeSandbox();
  t.after(() => sandbox.remove());
  const { remote, clone } = makeClone(sandbox, { 'a.txt': 'one\ntwo\n' });
  const { service } = await startFakeModelService(t, { WORKSPACE_DIR: clone, MAX_CONCURRENT_RUNS: '3' });
  return { service, remote, clone };
}

/** The model is silent before its last word, so that the CLI answers what the server asks for before the run ends. */
const writing = (text: string) =>
  `[[tool: Read {"file_path":"a.txt"}]] [[tool: Write ${JSON.stringify({ file_path: 'a.txt', content: text })}]] [[silence: 2000]] [[say: done]]`;

test(
  requirement(['J-16', 'J-10'], 'a job changes a file: its events have the tool calls, and its diff has the change'),
  async (t) => {
    const { service, clone, remote } = await startOnRepository(t);
    const id = await execute(service, { prompt: writing('one\nTWO\n'), model: 'haiku', deliver: 'branch' });
    const events = await eventsOf(service, id);
    const calls = events.flatMap(({ data }) => (data.type === 'tool_call' ? [data.name] : []));
    assert.deepEqual(calls, ['Read', 'Write']);
    const costs = events.flatMap(({ data }) => (data.type === 'cost' ? [data.cost_usd] : []));
    assert.equal(costs.length, 2, 'there is an event with the cost so far after each tool');
    const job = await ended(service, id);
    assert.ok(
      costs.every((cost) => cost > 0 && cost <= (job.cost_usd ?? 0) + 0.0001),
      JSON.stringify(costs),
    );
    assert.deepEqual([job.status, job.result, job.exit_code], ['completed', 'done', 0], JSON.stringify(job));
    assert.ok((job.usage?.input_tokens ?? 0) > 0 && (job.cost_usd ?? 0) > 0 && job.num_turns === 3);
    assert.equal(job.workspace?.revision, git(clone, 'rev-parse', 'HEAD'));
    assert.deepEqual(job.workspace?.files, [{ path: 'a.txt', change: 'modified', added: 1, removed: 1 }]);
    assert.equal(job.workspace?.delivery?.state, 'pushed');
    assert.equal(git(remote, 'show', `agent/${id}:a.txt`), 'one\nTWO');

    const response = await service.get(`/jobs/${id}/diff`);
    assert.match(response.headers.get('content-type') ?? '', /^text\/x-diff/);
    const patch = await response.text();
    assert.match(patch, /^diff --git a\/a\.txt b\/a\.txt\n/);
    write(clone, { 'patch.diff': patch });
    git(clone, 'apply', 'patch.diff');
    assert.equal(readFileSync(join(clone, 'a.txt'), 'utf8'), 'one\nTWO\n');
  },
);

test(requirement('J-16'), async (t) => {
  const { service } = await startOnRepository(t);
  const reading = await execute(service, { prompt: '[[say: nothing to do]]', model: 'haiku' });
  await ended(service, reading);
  const none = await service.get(`/jobs/${reading}/diff`);
  assert.equal(none.status, 404);
  assert.match(((await none.json()) as { detail: string }).detail, /changed no files/);

  const stalled = await execute(service, { prompt: '[[stall]]', model: 'haiku' });
  const early = await service.get(`/jobs/${stalled}/diff`);
  assert.equal(early.status, 409);
  assert.equal(((await early.json()) as { error: string }).error, 'job not finished');
});

test(requirement('J-19'), async (t) => {
  const { service, clone } = await startOnRepository(t);
  const texts = ['ONE\ntwo\n', 'one\nTWO\n', 'one\ntwo\nthree\n'];
  const ids = await Promise.all(texts.map((text) => execute(service, { prompt: writing(text), model: 'haiku' })));
  const jobs = await Promise.all(ids.map((id) => ended(service, id)));
  const spans = jobs.map((job) => [Date.parse(String(job.started_at)), Date.parse(String(job.finished_at))] as const);
  const lastStart = Math.max(...spans.map(([start]) => start));
  assert.ok(
    spans.every(([, end]) => end > lastStart),
    'they ran at the same time',
  );
  for (const [at, id] of ids.entries()) {
    const patch = await (await service.get(`/jobs/${id}/diff`)).text();
    write(clone, { 'patch.diff': patch });
    git(clone, 'apply', 'patch.diff');
    assert.equal(readFileSync(join(clone, 'a.txt'), 'utf8'), texts[at]);
    git(clone, 'checkout', '--quiet', 'a.txt');
  }
});
