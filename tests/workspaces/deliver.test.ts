/** The work of a run is committed and pushed as a branch. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { commit, git, gitEnvironment, makeClone, pushFromElsewhere, write } from '../support/git-repositories.ts';
import { waitUntil } from '../support/wait-until.ts';
import { keptPatch, never, open, sandbox } from './setup.ts';

const request = { branch: 'agent/run', message: 'Fix the thing\n\nJob: run\nCost: 0.12 USD\n' };

describe('the delivery of a run', () => {
  test('commits its work on the commit on which the run began, with the message, and pushes it as a branch', async () => {
    const { clone, remote } = makeClone(sandbox);
    const run = await (await open(clone)).lease('run', never);
    write(run.path, { 'a.txt': 'changed\n', 'b/new.txt': 'new\n' });
    commit(run.path, { 'c.txt': 'committed by the agent\n' }, 'wip');
    const delivery = await run.deliver(request);
    const commitId = git(remote, 'rev-parse', 'refs/heads/agent/run');
    assert.deepEqual(delivery, { state: 'pushed', branch: 'agent/run', commit: commitId });
    assert.equal(git(remote, 'log', '-1', '--format=%B', 'agent/run'), request.message.trim());
    assert.equal(git(remote, 'rev-parse', 'agent/run~1'), run.sync.revision);
    assert.equal(git(remote, 'diff', '--name-status', 'agent/run~1', 'agent/run'), 'M\ta.txt\nA\tb/new.txt\nA\tc.txt');
    assert.equal(git(remote, 'rev-parse', 'main'), run.sync.revision);
    assert.equal(git(clone, 'branch', '--all', '--list', '*agent*'), '');
    await run.release();
  });

  test('has the author of the git settings, else the server', async () => {
    const { clone, remote } = makeClone(sandbox);
    const workspaces = await open(clone, { environment: { PATH: gitEnvironment['PATH'], HOME: '/nonexistent' } });
    const own = await workspaces.lease('own', never);
    write(own.path, { 'b.txt': 'x\n' });
    await own.deliver({ branch: 'agent/own', message: 'x' });
    assert.equal(git(remote, 'log', '-1', '--format=%an', 'agent/own'), 'claude-agent-server');
    git(clone, 'config', 'user.name', 'Build Bot');
    git(clone, 'config', 'user.email', 'bot@example.org');
    const named = await workspaces.lease('named', never);
    write(named.path, { 'b.txt': 'x\n' });
    await named.deliver({ branch: 'agent/named', message: 'x' });
    assert.equal(git(remote, 'log', '-1', '--format=%an %ce', 'agent/named'), 'Build Bot bot@example.org');
  });

  test('pushes nothing when the run changed nothing', async () => {
    const { clone, remote } = makeClone(sandbox);
    const run = await (await open(clone)).lease('run', never);
    assert.deepEqual(await run.deliver(request), { state: 'nothing_to_push', branch: 'agent/run' });
    assert.equal(git(remote, 'branch', '--list', 'agent/*'), '');
  });

  test('can be repeated when its answer was lost', async () => {
    const { clone } = makeClone(sandbox);
    const run = await (await open(clone)).lease('run', never);
    write(run.path, { 'b.txt': 'x\n' });
    const first = await run.deliver(request);
    assert.equal(first.state, 'pushed');
    assert.deepEqual(await run.deliver(request), first);
  });

  test('never replaces an existing branch', async () => {
    const { clone, remote } = makeClone(sandbox);
    git(clone, 'push', '-q', 'origin', `${commit(clone, { 'x.txt': 'x\n' })}:refs/heads/agent/run`);
    git(clone, 'reset', '-q', '--hard', 'origin/main');
    const before = git(remote, 'rev-parse', 'agent/run');
    const run = await (await open(clone)).lease('run', never);
    write(run.path, { 'b.txt': 'x\n' });
    const { state, detail } = await run.deliver(request);
    assert.equal(state, 'failed');
    assert.match(detail ?? '', /rejected/);
    assert.equal(git(remote, 'rev-parse', 'agent/run'), before);
  });

  test('names the files in which it conflicts with later commits of the upstream', async () => {
    const { clone, remote } = makeClone(sandbox, { 'a.txt': 'one\n', 'b.txt': 'one\n' });
    const run = await (await open(clone)).lease('run', never);
    write(run.path, { 'a.txt': 'mine\n', 'b.txt': 'mine\n' });
    pushFromElsewhere(sandbox, remote, { 'a.txt': 'theirs\n', 'c.txt': 'theirs\n' });
    const delivery = await run.deliver(request);
    assert.equal(delivery.state, 'pushed');
    assert.deepEqual(delivery.conflicts, ['a.txt']);
  });

  test('that fails gives a reason without a path, and the work can still be collected', async () => {
    const { clone, remote } = makeClone(sandbox);
    const workspaces = await open(clone);
    const run = await workspaces.lease('run', never);
    write(run.path, { 'b.txt': 'x\n' });
    rmSync(remote, { recursive: true });
    const delivery = await run.deliver(request);
    assert.equal(delivery.state, 'failed');
    assert.match(delivery.detail ?? '', /'remote\.git' does not appear to be a git repository/);
    assert.match((await run.collect()).patch ?? '', /^\+x$/m);
    const other = await workspaces.lease('other', never);
    write(other.path, { 'b.txt': 'x\n' });
    await other.deliver(request);
    await other.release();
    await waitUntil('the work is kept', () => keptPatch('other'));
  });

  test('that the remote refuses gives the reason of the remote', async () => {
    const { clone, remote } = makeClone(sandbox);
    git(remote, 'config', 'transfer.hideRefs', 'refs/heads/agent');
    const run = await (await open(clone)).lease('run', never);
    write(run.path, { 'b.txt': 'x\n' });
    const { state, detail } = await run.deliver(request);
    assert.equal(state, 'failed');
    assert.match(detail ?? '', /\[remote rejected\] \(deny updating a hidden ref\)/);
  });

  test('fails without a remote', async () => {
    const { clone } = makeClone(sandbox);
    git(clone, 'remote', 'remove', 'origin');
    const run = await (await open(clone)).lease('run', never);
    write(run.path, { 'b.txt': 'x\n' });
    const delivery = await run.deliver(request);
    assert.deepEqual([delivery.state, delivery.detail], ['failed', 'the repository has no remote']);
  });

  test('goes to origin when the branch has no upstream, and fails when no remote of several is called origin', async () => {
    const { clone, remote } = makeClone(sandbox);
    git(clone, 'branch', '-q', '--unset-upstream');
    git(clone, 'remote', 'add', 'other', join(sandbox.folder, 'other.git'));
    const run = await (await open(clone)).lease('run', never);
    write(run.path, { 'b.txt': 'x\n' });
    assert.equal((await run.deliver(request)).state, 'pushed');
    assert.equal(git(remote, 'show', 'agent/run:b.txt'), 'x');
    git(clone, 'remote', 'rename', 'origin', 'first');
    const next = await (await open(clone)).lease('next', never);
    write(next.path, { 'b.txt': 'x\n' });
    const { state, detail } = await next.deliver({ ...request, branch: 'agent/next' });
    assert.equal(state, 'failed');
    assert.match(detail ?? '', /several remotes, none is called origin/);
  });

  test('refuses a branch name that git does not allow', async () => {
    const { clone } = makeClone(sandbox);
    const run = await (await open(clone)).lease('run', never);
    write(run.path, { 'b.txt': 'x\n' });
    for (const branch of ['agent/a..b', 'agent/x:refs/heads/main', '-x y', '']) {
      assert.equal((await run.deliver({ ...request, branch })).state, 'failed', branch);
    }
  });

  test('works from a shared workspace that was clean before the run, and does not change its branch', async () => {
    const { clone, remote } = makeClone(sandbox);
    const workspaces = await open(clone, { workspaceMode: 'shared' });
    const run = await workspaces.lease('run', never);
    write(clone, { 'b.txt': 'x\n' });
    assert.equal((await run.deliver(request)).state, 'pushed');
    assert.equal(git(remote, 'show', 'agent/run:b.txt'), 'x');
    assert.equal(git(clone, 'status', '--porcelain', '--branch'), '## main...origin/main\n?? b.txt');
    await run.release();
    const second = await workspaces.lease('second', never);
    write(clone, { 'c.txt': 'x\n' });
    const { state, detail } = await second.deliver({ ...request, branch: 'agent/second' });
    assert.equal(state, 'failed');
    assert.match(detail ?? '', /uncommitted changes when the run began/);
    await second.release();
  });

  test('uses the ssh command of the user, in batch mode', async () => {
    const { clone, remote } = makeClone(sandbox);
    const calls = join(sandbox.folder, 'calls');
    const ssh = join(sandbox.folder, 'ssh');
    writeFileSync(ssh, `#!/bin/sh\necho "$@" >> ${calls}\nfor last; do :; done\nexec sh -c "$last"\n`, { mode: 0o755 });
    const settings = join(sandbox.folder, 'gitconfig');
    writeFileSync(settings, `[core]\n\tsshCommand = ${ssh} -i my-key\n`);
    git(clone, 'remote', 'set-url', 'origin', `host.invalid:${remote}`);
    const environment = { PATH: gitEnvironment['PATH'], HOME: '/nonexistent', GIT_CONFIG_GLOBAL: settings };
    const run = await (await open(clone, { environment })).lease('run', never);
    assert.equal(run.sync.state, 'unchanged', run.sync.detail);
    write(run.path, { 'b.txt': 'x\n' });
    assert.equal((await run.deliver(request)).state, 'pushed');
    const lines = readFileSync(calls, 'utf8').trim().split('\n');
    assert.ok(lines.length >= 2);
    for (const line of lines)
      assert.match(line, /^-i my-key -o BatchMode=yes .*host\.invalid git-(upload|receive)-pack/);
  });
});
