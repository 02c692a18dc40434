import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { ServiceError } from '../../src/errors.ts';
import type { SyncReport } from '../../src/task.ts';
import type { Lease } from '../../src/workspace/workspaces.ts';
import { commit, git, makeClone, pushFromElsewhere, write } from '../support/git-repositories.ts';
import { waitUntil } from '../support/wait-until.ts';
import { open, sandbox } from './bed.ts';
import { never } from './support.ts';

const read = (lease: Lease, path: string) => readFileSync(join(lease.path, path), 'utf8');
const worktreesLeft = () =>
  readdirSync(join(sandbox.dataDir, 'worktrees')).filter((name) => !name.startsWith('.spare-'));

describe('a worktree', () => {
  test('is the default in a git repository, lies in the data folder, and is called like the project', async () => {
    const { clone } = makeClone(sandbox);
    const lease = await (await open(clone)).lease('run', never);
    assert.equal(lease.path, join(sandbox.dataDir, 'worktrees/run/clone'));
    assert.equal(basename(lease.path), 'clone');
    assert.equal(statSync(lease.path).mode & 0o077, 0);
    assert.equal(read(lease, 'a.txt'), 'one\n');
    await lease.release();
  });

  test('stands on what was pushed last, and the workspace stays as it was, dirty or not', async () => {
    const { clone, remote } = makeClone(sandbox);
    write(clone, { 'a.txt': 'uncommitted\n', 'untracked.txt': 'x\n' });
    git(clone, 'add', 'a.txt');
    const before = [
      git(clone, 'status', '--porcelain=v2'),
      git(clone, 'for-each-ref'),
      readdirSync(join(clone, '.git')),
    ];
    const pushed = pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    const lease = await (await open(clone)).lease('run', never);
    assert.equal(lease.revision, pushed);
    assert.equal(lease.sync.revision, pushed);
    assert.equal(read(lease, 'a.txt'), 'one\n');
    assert.equal(read(lease, 'b.txt'), 'two\n');
    assert.equal(existsSync(join(lease.path, 'untracked.txt')), false);
    const now = [git(clone, 'status', '--porcelain=v2'), git(clone, 'for-each-ref'), readdirSync(join(clone, '.git'))];
    assert.deepEqual(now, before);
    await lease.release();
  });

  test('looks like a fresh clone to git', async () => {
    const { clone } = makeClone(sandbox);
    git(clone, 'tag', 'v1');
    git(clone, 'remote', 'set-head', 'origin', 'main');
    git(clone, 'push', '-q', 'origin', 'main:other');
    git(clone, 'fetch', '-q');
    const { path, revision } = await (await open(clone)).lease('run', never);
    assert.equal(git(path, 'status', '--porcelain', '--branch'), '## main...origin/main');
    assert.equal(git(path, 'rev-parse', 'HEAD'), revision);
    assert.equal(
      git(path, 'rev-parse', 'origin/main', 'v1^{commit}', 'origin/other'),
      [revision, revision, revision].join('\n'),
    );
    assert.equal(git(path, 'symbolic-ref', 'refs/remotes/origin/HEAD'), 'refs/remotes/origin/main');
    assert.equal(git(path, 'log', '--format=%s'), 'first');
    git(path, 'fsck');
    commit(path, { 'b.txt': 'mine\n' }, 'by the agent');
    assert.equal(git(path, 'log', '-1', '--format=%s'), 'by the agent');
    assert.equal(git(path, 'pull', '--quiet'), '');
    assert.equal(git(clone, 'log', '-1', '--format=%s', '--all'), 'first');
  });

  test('tells an agent no password of the remote', async () => {
    const { clone } = makeClone(sandbox);
    git(clone, 'remote', 'set-url', 'origin', 'https://user:sesame@example.invalid/x.git');
    git(clone, 'config', 'http.https://example.invalid/.extraHeader', 'Authorization: sesame');
    const { path } = await (await open(clone, { gitSync: 'off' })).lease('run', never);
    assert.equal(git(path, 'remote', 'get-url', 'origin'), 'https://example.invalid/x.git');
    assert.doesNotMatch(readFileSync(join(path, '.git/config'), 'utf8'), /sesame/);
  });

  test('is a part of the repository when the workspace is', async () => {
    const { clone } = makeClone(sandbox, { 'a.txt': 'one\n', 'packages/x/b.txt': 'two\n' });
    const lease = await (await open(join(clone, 'packages/x'))).lease('run', never);
    assert.equal(lease.path, join(sandbox.dataDir, 'worktrees/run/x/packages/x'));
    write(lease.path, { 'b.txt': 'changed\n' });
    assert.deepEqual((await lease.collect()).files, [
      { path: 'packages/x/b.txt', change: 'modified', added: 1, removed: 1 },
    ]);
    const plain = join(clone, 'plain');
    mkdirSync(plain);
    const inPlace = await (await open(plain)).lease('run', never);
    assert.equal(inPlace.path, plain);
    await inPlace.release();
  });

  test('is asked for in vain where there is no repository', async () => {
    const folder = join(sandbox.folder, 'plain');
    mkdirSync(folder);
    await assert.rejects(open(folder, { workspaceMode: 'worktree' }), /WORKSPACE_DIR is not a git repository/);
  });

  test('is gone after the run, with all that was kept about it', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone);
    const lease = await workspaces.lease('run', never);
    mkdirSync(join(lease.path, 'build'));
    writeFileSync(join(lease.path, 'build/out'), 'x', { mode: 0o400 });
    await lease.release();
    await lease.release();
    assert.equal(existsSync(lease.path), false);
    await waitUntil('the folder is removed', () => worktreesLeft().length === 0);
    // The name is free at once.
    const again = await workspaces.lease('run', never);
    await assert.rejects(workspaces.lease('run', never), (error) => error instanceof ServiceError);
    assert.equal(read(again, 'a.txt'), 'one\n');
    await again.release();
  });
});

describe('runs side by side', () => {
  test('do not see each other, not in files, branches, stash or settings', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone);
    const [one, two] = await Promise.all([workspaces.lease('one', never), workspaces.lease('two', never)]);
    write(one.path, { 'a.txt': 'stashed\n' });
    git(one.path, 'stash');
    git(one.path, 'branch', 'mine');
    git(one.path, 'config', 'core.hooksPath', 'hooks');
    commit(one.path, { 'b.txt': 'b\n' });
    for (const other of [two.path, clone]) {
      assert.equal(git(other, 'status', '--porcelain'), '');
      assert.equal(git(other, 'stash', 'list'), '');
      assert.equal(git(other, 'branch', '--list', 'mine'), '');
      assert.throws(() => git(other, 'config', 'core.hooksPath'));
      assert.equal(git(other, 'log', '--all', '--format=%s'), 'first');
    }
    await Promise.all([one.release(), two.release()]);
  });

  test('edit the same file three times at once and give three clean diffs', async () => {
    const { clone } = makeClone(sandbox, { 'a.txt': 'one\ntwo\nthree\n' });
    const workspaces = await open(clone);
    const names = ['x', 'y', 'z'];
    const results = await Promise.all(
      names.map(async (name) => {
        const lease = await workspaces.lease(name, never);
        write(lease.path, { 'a.txt': `one\n${name}\nthree\n`, [`${name}.txt`]: `${name}\n` });
        const changes = await lease.collect();
        const delivery = await lease.deliver({ branch: `agent/${name}`, message: `by ${name}` });
        await lease.release();
        return { name, changes, delivery };
      }),
    );
    for (const { name, changes, delivery } of results) {
      assert.deepEqual(
        changes.files.map(({ path, change }) => [path, change]),
        [
          ['a.txt', 'modified'],
          [`${name}.txt`, 'added'],
        ],
      );
      assert.match(changes.patch ?? '', new RegExp(`^-two$\\n^\\+${name}$`, 'm'));
      const others = names.filter((other) => other !== name);
      for (const other of others) assert.doesNotMatch(changes.patch ?? '', new RegExp(`^\\+${other}$`, 'm'));
      assert.equal(delivery.state, 'pushed');
      assert.equal(git(clone, 'ls-remote', 'origin', `refs/heads/agent/${name}`).split('\t')[0], delivery.commit);
    }
  });
});

describe('the sync of worktrees', () => {
  test('is shared by those who come at the same time, and serves for a while', async () => {
    const { clone, remote } = makeClone(sandbox);
    const reports: SyncReport[] = [];
    const workspaces = await open(clone, { syncFreshMs: 60_000, onSync: (report) => reports.push(report) });
    const leases = await Promise.all(['a', 'b', 'c'].map((id) => workspaces.lease(id, never)));
    pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    leases.push(await workspaces.lease('d', never));
    assert.equal(reports.length, 1);
    assert.equal(new Set(leases.map(({ revision }) => revision)).size, 1);
    await Promise.all(leases.map((lease) => lease.release()));
  });

  test('brings a worktree that was made ahead to the new head', async () => {
    const { clone, remote } = makeClone(sandbox, { 'a.txt': 'one\n', 'old.txt': 'old\n' });
    const workspaces = await open(clone);
    const isReady = () => readdirSync(join(sandbox.dataDir, 'worktrees')).some((name) => name.startsWith('.spare-'));
    await waitUntil('a spare is there', isReady);
    const colleague = join(sandbox.folder, 'colleague');
    git(sandbox.folder, 'clone', '-q', remote, colleague);
    rmSync(join(colleague, 'old.txt'));
    const pushed = commit(colleague, { 'a.txt': 'two\n', 'new/b.txt': 'b\n' });
    git(colleague, 'push', '-q');
    const lease = await workspaces.lease('run', never);
    assert.equal(lease.sync.state, 'synced');
    assert.equal(git(lease.path, 'rev-parse', 'HEAD', 'origin/main'), `${pushed}\n${pushed}`);
    assert.equal(git(lease.path, 'status', '--porcelain', '--ignored'), '');
    assert.deepEqual(readdirSync(lease.path).sort(), ['.git', 'a.txt', 'new']);
    assert.deepEqual(await lease.collect(), { revision: pushed, files: [] });
    await lease.release();
  });

  test('builds on local commits that contain the upstream, and leaves out those that do not', async () => {
    const { clone, remote } = makeClone(sandbox);
    const workspaces = await open(clone);
    const mine = commit(clone, { 'mine.txt': 'mine\n' });
    const ahead = await workspaces.lease('ahead', never);
    assert.equal(ahead.revision, mine);
    assert.match(ahead.sync.detail ?? '', /local commits ahead of origin\/main are included/);
    const theirs = pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    const diverged = await workspaces.lease('diverged', never);
    assert.equal(diverged.revision, theirs);
    assert.match(diverged.sync.detail ?? '', /local commits that origin\/main does not have are left out/);
    assert.equal(git(clone, 'rev-parse', 'HEAD'), mine);
    await Promise.all([ahead.release(), diverged.release()]);
  });

  test('follows a history that was rewritten', async () => {
    const { clone, remote } = makeClone(sandbox);
    const workspaces = await open(clone);
    pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    await (await workspaces.lease('before', never)).release();
    const colleague = join(sandbox.folder, 'colleague');
    git(sandbox.folder, 'clone', '-q', remote, colleague);
    git(colleague, 'reset', '-q', '--hard', 'HEAD~1');
    const rewritten = commit(colleague, { 'c.txt': 'three\n' });
    git(colleague, 'push', '-q', '--force');
    const lease = await workspaces.lease('after', never);
    assert.equal(lease.revision, rewritten);
    assert.deepEqual(readdirSync(lease.path).sort(), ['.git', 'a.txt', 'c.txt']);
    await lease.release();
  });

  test('that fails leaves runs on what was fetched last, unless it is required', async () => {
    const { clone, remote } = makeClone(sandbox);
    const workspaces = await open(clone);
    const pushed = pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    await (await workspaces.lease('before', never)).release();
    git(clone, 'remote', 'set-url', 'origin', join(sandbox.folder, 'away.git'));
    const lease = await workspaces.lease('after', never);
    assert.equal(lease.revision, pushed);
    assert.deepEqual(lease.sync, {
      state: 'failed',
      detail: "'away.git' does not appear to be a git repository",
      revision: pushed,
    });
    await lease.release();
    const strict = await open(clone, { dataDir: join(sandbox.folder, 'data2'), gitSync: 'required' });
    await assert.rejects(strict.lease('run', never), (error) => {
      return error instanceof ServiceError && error.code === 'workspace_unavailable';
    });
  });

  test('is given up by a run without being lost for the others', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone);
    const givingUp = new AbortController();
    const reason = new ServiceError('cancelled', 'gone');
    const first = workspaces.lease('first', givingUp.signal);
    const second = workspaces.lease('second', never);
    givingUp.abort(reason);
    await assert.rejects(first, (error) => error === reason);
    await (await second).release();
    await waitUntil('nothing is left', () => worktreesLeft().length === 0);
  });
});

describe('work that nobody collected', () => {
  test('is kept as a patch when the worktree goes', async () => {
    const { clone } = makeClone(sandbox);
    const kept: string[] = [];
    const workspaces = await open(clone, { onKept: (runId) => kept.push(runId) });
    const idle = await workspaces.lease('idle', never);
    const busy = await workspaces.lease('busy', never);
    const told = await workspaces.lease('told', never);
    write(busy.path, { 'a.txt': 'changed\n', 'blob.bin': 'a\0b' });
    write(told.path, { 'a.txt': 'changed\n' });
    await told.collect();
    for (const lease of [idle, busy, told]) await lease.release();
    await waitUntil('the worktrees are gone', () => worktreesLeft().length === 0);
    assert.deepEqual(kept, ['busy']);
    const patch = await workspaces.keptPatch('busy');
    assert.ok(patch);
    assert.equal(await workspaces.keptPatch('idle'), undefined);
    git(clone, 'apply', patch.path);
    assert.equal(readFileSync(join(clone, 'a.txt'), 'utf8'), 'changed\n');
    assert.equal(readFileSync(join(clone, 'blob.bin'), 'latin1'), 'a\0b');
    await workspaces.forgetPatch('busy');
    assert.equal(await workspaces.keptPatch('busy'), undefined);
  });

  test('survives the death of the server, and its leftovers do not', async () => {
    const { clone } = makeClone(sandbox);
    const dead = await open(clone);
    const worked = await dead.lease('worked', never);
    await dead.lease('idle', never);
    write(worked.path, { 'a.txt': 'changed\n', 'new.txt': 'new\n' });
    const next = await open(clone);
    await waitUntil('the patch is kept', () => next.keptPatch('worked'));
    await waitUntil('the leftovers are gone', () => worktreesLeft().length === 0);
    assert.equal(await next.keptPatch('idle'), undefined);
    const patch = await next.keptPatch('worked');
    git(clone, 'apply', patch?.path ?? '');
    assert.equal(readFileSync(join(clone, 'new.txt'), 'utf8'), 'new\n');
  });

  test('is kept again when its worktree cannot be told, until it can', async () => {
    const { clone } = makeClone(sandbox);
    const problems: string[] = [];
    const dead = await open(clone, { onProblem: (what) => problems.push(what) });
    const lease = await dead.lease('worked', never);
    write(lease.path, { 'a.txt': 'changed\n' });
    const record = join(sandbox.dataDir, 'worktrees/worked/.baseline/objects/info/alternates');
    const alternates = readFileSync(record, 'utf8');
    writeFileSync(record, '/nonexistent\n');
    await lease.release();
    await waitUntil('the trouble is told', () => problems.length > 0);
    const [left = ''] = worktreesLeft();
    writeFileSync(join(sandbox.dataDir, 'worktrees', left, '.baseline/objects/info/alternates'), alternates);
    const next = await open(clone);
    await waitUntil('the patch is kept', () => next.keptPatch('worked'));
  });

  test('is nothing when an agent has put a link in the place of its folder', async () => {
    const { clone } = makeClone(sandbox);
    const secret = join(sandbox.folder, 'secret');
    mkdirSync(secret);
    writeFileSync(join(secret, 'key'), 'sesame');
    const workspaces = await open(clone);
    const lease = await workspaces.lease('run', never);
    rmSync(lease.path, { recursive: true });
    symlinkSync(secret, lease.path);
    const changes = await lease.collect();
    assert.deepEqual(changes.files, []);
    assert.match(changes.patchOmitted ?? '', /folder of the run is gone/);
    assert.equal((await lease.deliver({ branch: 'agent/run', message: 'x' })).state, 'failed');
    await lease.release();
    await waitUntil('the worktree is gone', () => worktreesLeft().length === 0);
    assert.equal(await workspaces.keptPatch('run'), undefined);
    assert.equal(readFileSync(join(secret, 'key'), 'utf8'), 'sesame');
  });

  test('goes when it is older than it may be', async () => {
    const { clone } = makeClone(sandbox);
    const first = await open(clone);
    const lease = await first.lease('old', never);
    write(lease.path, { 'a.txt': 'changed\n' });
    await lease.release();
    await waitUntil('the patch is kept', () => first.keptPatch('old'));
    const later = await open(clone, { keepPatchesMs: -1000 });
    await waitUntil('the patch is gone', async () => !(await later.keptPatch('old')));
  });
});

describe('an agent that waits or rests in a worktree', () => {
  test('finds its folder claimed by a run, at the same path', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone);
    const prepared = await workspaces.prepare('spare_1');
    assert.equal(prepared.clean, true);
    assert.ok(prepared.reads.length > 0);
    const lease = await prepared.claim('run', never);
    assert.ok(lease);
    assert.equal(lease.path, prepared.path);
    write(lease.path, { 'a.txt': 'changed\n' });
    await lease.release();
    await waitUntil('the patch is kept under the name of the run', () => workspaces.keptPatch('run'));
  });

  test('loses it when the workspace has moved on', async () => {
    const { clone, remote } = makeClone(sandbox);
    const workspaces = await open(clone);
    const prepared = await workspaces.prepare('spare_1');
    pushFromElsewhere(sandbox, remote, { 'b.txt': 'two\n' });
    assert.equal(await prepared.claim('run', never), undefined);
    assert.equal(existsSync(prepared.path), false);
  });

  test('keeps it between the turns of a conversation, and counts it clean only when nothing was done', async () => {
    const { clone } = makeClone(sandbox, { 'a.txt': 'one\n', '.gitignore': '*.log\n' });
    const workspaces = await open(clone);
    const first = await workspaces.lease('first', never);
    const rested = await first.keep();
    assert.ok(rested);
    await waitUntil('it is found clean', () => rested.clean);
    const second = await rested.claim('second', never);
    assert.ok(second);
    write(second.path, { 'ignored.log': 'x\n' });
    const again = await second.keep();
    assert.ok(again);
    assert.equal(again.clean, false);
    const third = await again.claim('third', never);
    assert.ok(third);
    assert.equal(read(third, 'ignored.log'), 'x\n');
    commit(third.path, { 'a.txt': 'changed\n' });
    const last = await third.keep();
    assert.ok(last);
    await last.discard();
    assert.equal(last.clean, false);
    await waitUntil('the patch is kept', () => workspaces.keptPatch('third'));
  });

  test('leaves nothing behind when it is not wanted any more', async () => {
    const { clone } = makeClone(sandbox);
    const workspaces = await open(clone);
    const prepared = await workspaces.prepare('spare_1');
    await prepared.discard();
    await waitUntil('the folder is removed', () => worktreesLeft().length === 0);
  });
});
