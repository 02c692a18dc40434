/** The server's git runs no program that a repository or an agent names. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import type { WorkspaceLease, Workspaces } from '../../src/workspaces/workspaces.ts';
import {
  addSubmodule,
  commit,
  git,
  gitEnvironment,
  makeClone,
  pushFromElsewhere,
  write,
} from '../support/git-repositories.ts';
import { keptPatch, never, open, sandbox } from './setup.ts';
import { attributes, makeTrapped, plantHooks, plantSettings, trap, trapsRun } from './traps.ts';

let server: Server | undefined;
afterEach(() => {
  server?.close();
  server = undefined;
});

/** Does everything that the server ever does with a workspace. */
async function useWorkspace(workspaces: Workspaces): Promise<WorkspaceLease> {
  const run = await workspaces.lease('run', never);
  write(run.path, { 'new.md': 'new\n' });
  await run.collect();
  await run.deliver({ branch: 'agent/run', message: 'x' });
  // Work on files with a filter is collected, but a delivery of it is refused.
  write(run.path, { 'b.txt': 'changed\n', 'new.txt': 'new\n', 'new.bin': 'new\n' });
  await run.collect();
  assert.equal((await run.deliver({ branch: 'agent/filtered', message: 'x' })).state, 'failed');
  await run.release();
  return run;
}

describe('a repository full of traps', () => {
  for (const workspaceMode of ['worktree', 'shared'] as const) {
    test(`runs nothing when it is used as a ${workspaceMode} workspace`, async () => {
      const { clone, remote } = makeTrapped();
      const workspaces = await open(clone, { workspaceMode });
      const run = await useWorkspace(workspaces);
      assert.notEqual(run.sync.state, 'failed', run.sync.detail);
      assert.equal(git(remote, 'show', 'agent/run:new.md'), 'new');
      await workspaces.close();
      assert.deepEqual(trapsRun(), []);
      assert.deepEqual(readdirSync(join(sandbox.folder, 'elsewhere')), []);
    });
  }

  test('runs its traps under git without the server, so the test above can fail', () => {
    const { clone } = makeTrapped();
    const attempt = (...args: string[]) => {
      try {
        git(clone, ...args);
      } catch {
        // A trap makes its git command fail.
      }
    };
    git(clone, 'config', '--unset', 'core.worktree');
    // Otherwise git may take the file for unchanged by its size and time.
    utimesSync(join(clone, 'a.txt'), 1, 1);
    attempt('status');
    attempt('fetch', 'origin');
    git(clone, 'config', '--unset', 'remote.origin.uploadpack');
    git(clone, 'config', '--unset', 'filter.trap.process');
    attempt('fetch', 'origin');
    attempt('rebase', 'origin/main');
    write(clone, { 'new.txt': 'x\n' });
    attempt('add', '.');
    attempt('commit', '-m', 'x');
    attempt('diff', 'HEAD~1');
    attempt('push', 'origin', 'HEAD:refs/heads/x');
    attempt('fetch', 'ssh://example.invalid/x.git');
    const expected = [
      ...['diff-command', 'filter-clean', 'filter-smudge', 'process', 'merge-driver', 'included-fsmonitor', 'gpg'],
      ...[
        'included-ssh',
        'upload-pack',
        'receive-pack',
        'hook-pre-rebase',
        'hook-pre-commit',
        'hook-reference-transaction',
      ],
    ];
    for (const name of expected) assert.ok(trapsRun().includes(name), `${name} is not among ${trapsRun().join(' ')}`);
  });

  test('runs nothing when its remote is reached over ssh, git, http or a command', async () => {
    let asked = 0;
    server = createServer((_request, response) => {
      asked += 1;
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const { clone } = makeTrapped();
    const inherited = { GIT_ASKPASS: trap('env-askpass'), SSH_ASKPASS: trap('env-ssh-askpass'), DISPLAY: ':0' };
    const steering = {
      GIT_EXTERNAL_DIFF: trap('env-diff'),
      GIT_PROXY_COMMAND: trap('env-proxy'),
      GIT_EDITOR: trap('env'),
    };
    const environment = { ...gitEnvironment, ...inherited, ...steering };
    const urls = [
      `ext::${trap('ext')} %S`,
      `trap::x`,
      `git://127.0.0.1:1/x.git`,
      `http://127.0.0.1:${port}/x.git`,
      '--upload-pack=x',
      `ssh://-oProxyCommand=${trap('ssh-option')}/x.git`,
    ];
    for (const workspaceMode of ['worktree', 'shared'] as const) {
      for (const url of urls) {
        git(clone, 'config', 'remote.origin.url', url);
        const workspaces = await open(clone, {
          workspaceMode,
          environment,
          dataDir: join(sandbox.folder, workspaceMode),
        });
        const run = await workspaces.lease('run', never);
        assert.equal(run.sync.state, 'failed', url);
        assert.equal((await run.deliver({ branch: 'agent/run', message: 'x' })).state === 'pushed', false);
        await run.release();
        await workspaces.close();
      }
    }
    assert.ok(asked >= 2);
    assert.deepEqual(trapsRun(), []);
  });

  test('cannot rewrite an address into a command', async () => {
    const { clone } = makeTrapped();
    git(clone, 'config', `url.ext::${trap('instead-of')} .insteadOf`, join(sandbox.folder, 'remote.git'));
    git(clone, 'config', `url.ext::${trap('push-instead-of')} .pushInsteadOf`, join(sandbox.folder, 'remote.git'));
    await useWorkspace(await open(clone));
    assert.deepEqual(trapsRun(), []);
  });
});

describe('an agent that sets traps in its worktree', () => {
  test('runs nothing when its work is collected, delivered and kept', async () => {
    const { clone } = makeClone(sandbox, { 'a.txt': 'one\n' });
    const workspaces = await open(clone);
    const run = await workspaces.lease('run', never);
    mkdirSync(join(run.path, 'nested'));
    git(join(run.path, 'nested'), 'init', '-q');
    commit(join(run.path, 'nested'), { 'n.txt': 'n\n', '.gitattributes': attributes });
    plantSettings(join(run.path, 'nested'));
    plantSettings(run.path);
    plantHooks(join(run.path, '.git/hooks'));
    write(run.path, { '.gitattributes': attributes, 'a.txt': 'changed\n', 'nested/n.txt': 'changed\n' });
    const changes = await run.collect();
    assert.deepEqual(
      changes.files.map(({ path }) => path),
      ['.gitattributes', 'a.txt', 'nested/.gitattributes', 'nested/n.txt'],
    );
    assert.match(changes.patch ?? '', /^\+changed$/m);
    const { detail } = await run.deliver({ branch: 'agent/run', message: 'x' });
    assert.match(detail ?? '', /through a filter.*: a\.txt, nested\/n\.txt/);
    const kept = await workspaces.lease('kept', never);
    plantSettings(kept.path);
    write(kept.path, { '.gitattributes': attributes, 'a.txt': 'changed\n' });
    await run.release();
    await kept.release();
    await workspaces.close();
    assert.ok(keptPatch('kept'));
    assert.deepEqual(trapsRun(), []);
  });

  test('runs nothing through a submodule that it has filled with settings', async () => {
    const { clone, remote } = makeClone(sandbox);
    addSubmodule(sandbox, clone);
    git(clone, 'push', '-q');
    for (const workspaceMode of ['worktree', 'shared'] as const) {
      const workspaces = await open(clone, { workspaceMode });
      const run = await workspaces.lease('run', never);
      git(run.path, 'submodule', '--quiet', 'update', '--init');
      plantSettings(join(run.path, 'lib'));
      write(run.path, { 'lib/lib.txt': 'changed\n', 'lib/.gitattributes': attributes });
      pushFromElsewhere(sandbox, remote, { [`${workspaceMode}.txt`]: 'x\n' });
      await run.collect();
      await run.deliver({ branch: `agent/${workspaceMode}`, message: 'x' });
      await run.release();
      await (await workspaces.lease('next', never)).release();
      await workspaces.close();
    }
    assert.deepEqual(trapsRun(), []);
  });
});

describe('the user’s own git settings', () => {
  test('still apply: credential helpers work, also by includeIf, and nobody is asked', async () => {
    const seen: (string | undefined)[] = [];
    server = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(request.headers.authorization ? 404 : 401, { 'www-authenticate': 'Basic realm="x"' }).end();
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const { clone } = makeClone(sandbox);
    git(clone, 'remote', 'set-url', 'origin', `http://127.0.0.1:${port}/x.git`);
    const helper = join(sandbox.folder, 'helper');
    writeFileSync(helper, '#!/bin/sh\n[ "$1" = get ] && printf "username=ada\\npassword=sesame\\n"\n', { mode: 0o755 });
    const settings = join(sandbox.folder, 'gitconfig');
    const work = join(sandbox.folder, 'work');
    writeFileSync(settings, `[includeIf "gitdir:${clone}/"]\n\tpath = ${work}\n`);
    writeFileSync(work, `[credential "http://127.0.0.1:${port}"]\n\thelper = ${helper}\n`);
    const environment = { ...gitEnvironment, GIT_CONFIG_GLOBAL: settings };
    for (const workspaceMode of ['worktree', 'shared'] as const) {
      const workspaces = await open(clone, { workspaceMode, environment });
      const run = await workspaces.lease('run', never);
      assert.equal(run.sync.state, 'failed');
      assert.doesNotMatch(run.sync.detail ?? '', /sesame|ada/);
      await run.release();
    }
    const basic = `Basic ${Buffer.from('ada:sesame').toString('base64')}`;
    assert.equal(seen.filter((header) => header === basic).length, 2);
  });

  test('name programs that do not get the server’s secrets', async () => {
    const { clone, remote } = makeClone(sandbox);
    const dump = join(sandbox.folder, 'environment');
    const ssh = join(sandbox.folder, 'ssh');
    writeFileSync(ssh, `#!/bin/sh\nenv > '${dump}'\nfor last; do :; done\nexec sh -c "$last"\n`, { mode: 0o755 });
    git(clone, 'remote', 'set-url', 'origin', `host.invalid:${remote}`);
    const secrets = { API_BEARER_TOKEN: 'sesame', DATABASE_URL: 'postgres://sesame', ANTHROPIC_API_KEY: 'sesame' };
    const environment = { ...gitEnvironment, ...secrets, GIT_SSH: ssh, SSH_AUTH_SOCK: '/run/agent' };
    const run = await (await open(clone, { environment })).lease('run', never);
    assert.equal(run.sync.state, 'unchanged', run.sync.detail);
    const seen = execFileSync('cat', [dump], { encoding: 'utf8' });
    assert.doesNotMatch(seen, /sesame/);
    assert.match(seen, /^SSH_AUTH_SOCK=\/run\/agent$/m);
    assert.match(seen, /^GIT_TERMINAL_PROMPT=0$/m);
  });
});
