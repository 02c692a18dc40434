/** The notes on a run's files reach the user: by the sync report, the log, the job's record and the job's events. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { SyncReport } from '../../src/task.ts';
import { addSubmodule, commit, git, makeClone, pushFromElsewhere, write } from '../support/git-repositories.ts';
import { ended, eventsOf, execute } from '../support/http-jobs.ts';
import { ask, startFakeModelService } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';
import { never, open, sandbox } from './setup.ts';

const ahead = 'Local commits ahead of origin/main are included.';
const submodules = 'The folders of submodules are empty.';
const lfs = 'Files in Git LFS are pointers, without their content.';

const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 12345\n`;
const withPointer = { '.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n', 'big.bin': pointer };

describe('the notes of a sync', () => {
  test('are absent when a worktree has the same files as a clone', async () => {
    const { clone } = makeClone(sandbox, { '.gitattributes': '*.txt text\n' });
    const run = await (await open(clone)).lease('run', never);
    assert.equal('notes' in run.sync, false);
  });

  test('name submodules, Git LFS and local commits, to the run and to the log', async () => {
    const { clone } = makeClone(sandbox, withPointer);
    addSubmodule(sandbox, clone);
    const reports: SyncReport[] = [];
    const workspaces = await open(clone, { onSync: (report) => reports.push(report) });
    const run = await workspaces.lease('run', never);
    assert.deepEqual(run.sync.notes, [ahead, submodules, lfs]);
    assert.deepEqual(reports.at(-1), run.sync);
  });

  test('are the same for each of several runs at one commit, and change with the commit', async () => {
    const { clone, remote } = makeClone(sandbox, withPointer);
    const workspaces = await open(clone);
    for (const id of ['a', 'b']) assert.deepEqual((await workspaces.lease(id, never)).sync.notes, [lfs]);
    const prepared = await workspaces.prepare('prepared');
    assert.deepEqual((await prepared.lease('c', never))?.sync.notes, [lfs]);
    pushFromElsewhere(sandbox, remote, { '.gitattributes': '*.bin binary\n' });
    assert.equal((await workspaces.lease('d', never)).sync.notes, undefined);
  });

  test('are there also without a sync, and after one that failed', async () => {
    const { clone } = makeClone(sandbox, withPointer);
    git(clone, 'remote', 'set-url', 'origin', join(sandbox.folder, 'away.git'));
    write(clone, { 'mine.txt': 'mine\n' });
    commit(clone, {});
    const failed = await (await open(clone)).lease('failed', never);
    assert.deepEqual([failed.sync.state, failed.sync.notes], ['failed', [ahead, lfs]]);
    const off = await (await open(clone, { gitSync: 'off', dataDir: join(sandbox.folder, 'off') })).lease('off', never);
    assert.deepEqual([off.sync.state, off.sync.notes], ['off', [lfs]]);
  });

  test('are in the record of a job and in its event', async (t) => {
    const { clone } = makeClone(sandbox, withPointer);
    addSubmodule(sandbox, clone);
    const { service } = await startFakeModelService(t, { WORKSPACE_DIR: clone });
    const id = await execute(service, { prompt: '[[say: done]]', model: 'haiku' });
    const events = await eventsOf(service, id);
    const job = await ended(service, id);
    assert.deepEqual(job.workspace?.sync?.notes, [ahead, submodules, lfs]);
    const synced = events.flatMap(({ data }) => (data.type === 'workspace' ? [data.sync] : []));
    assert.deepEqual(synced, [job.workspace?.sync]);
  });

  test('are in the header of a chat answer, after the state', async (t) => {
    const { clone } = makeClone(sandbox, withPointer);
    const { service } = await startFakeModelService(t, { WORKSPACE_DIR: clone });
    for (const api of ['/v1', '/openai/v1']) {
      const response = await service.post(`${api}/chat/completions`, ask('[[say: done]]'));
      assert.match(
        response.headers.get('x-workspace-sync') ?? '',
        /^(synced|unchanged); Files in Git LFS are pointers/,
      );
      await response.text();
    }
  });

  for (const trust of ['off', 'on']) {
    test(`reach the agent in its system prompt, prewarmed or not, over stdin or not, with TRUST_WORKSPACE=${trust}`, async (t) => {
      const { clone } = makeClone(sandbox, { ...withPointer, 'CLAUDE.md': 'INSTRUCTION' });
      addSubmodule(sandbox, clone);
      for (const prewarmed of ['0', '1']) {
        const settings = { WORKSPACE_DIR: clone, TRUST_WORKSPACE: trust, PREWARMED_AGENTS: prewarmed };
        const { service, model } = await startFakeModelService(t, settings);
        if (prewarmed === '1') await waitUntil('an agent is prewarmed', () => worktreesLeftIn(service.dataDir) > 0);
        const id = await execute(service, { prompt: '[[say: done]]', model: 'haiku' });
        await ended(service, id);
        for (const api of ['/v1', '/openai/v1']) {
          await (await service.post(`${api}/chat/completions`, ask('[[say: done]]'))).text();
        }
        const asked = model.asked().map((body) => JSON.stringify(body));
        assert.ok(asked.length >= 3);
        for (const body of asked)
          for (const text of [submodules, lfs, 'INSTRUCTION']) assert.ok(body.includes(text), text);
        await service.close(0);
      }
    });
  }

  test('do not reach the agent if there are none', async (t) => {
    const { clone } = makeClone(sandbox);
    const { service, model } = await startFakeModelService(t, { WORKSPACE_DIR: clone });
    await ended(service, await execute(service, { prompt: '[[say: done]]', model: 'haiku' }));
    assert.doesNotMatch(JSON.stringify(model.asked()), /The files of this workspace/);
  });

  test('name attributes below the top folder, and other filters', async () => {
    const { clone } = makeClone(sandbox, {
      'assets/.gitattributes': '*.png filter=lfs\n',
      'x/.gitattributes': '*.key filter=git-crypt\n',
    });
    const run = await (await open(clone)).lease('run', never);
    const crypt = 'Files with the git filter git-crypt are as git stores them; the filter does not run.';
    assert.deepEqual(
      [run.sync.notes, run.fileNotes],
      [
        [lfs, crypt],
        [lfs, crypt],
      ],
    );
  });
});

/** The worktrees of agents that wait for a run. */
function worktreesLeftIn(dataDir: string): number {
  return readdirSync(join(dataDir, 'worktrees')).filter((name) => !name.startsWith('.')).length;
}
