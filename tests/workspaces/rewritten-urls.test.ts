/** `url.BASE.insteadOf` in the settings of a repository is obeyed, and runs nothing. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { examineWorkspace } from '../../src/workspaces/examine.ts';
import { git, gitEnvironment, makeClone, pushFromElsewhere, write } from '../support/git-repositories.ts';
import { never, open, read, sandbox } from './setup.ts';
import { plantHooks, trapsRun } from './traps.ts';

const request = { branch: 'agent/run', message: 'x' };

/** The remote's address as the settings have it, and the settings that lead to the remote. */
const rewrites: Record<string, (remote: string) => { url: string; settings: [string, string][] }> = {
  'the beginning of a URL': (remote) => ({
    url: 'https://example.invalid/remote.git',
    settings: [[`url.${join(remote, '..')}/.insteadOf`, 'https://example.invalid/']],
  }),
  'a relative path': () => ({
    url: 'corp:remote.git',
    settings: [['url.../.insteadOf', 'corp:']],
  }),
  'a text that looks like a path': (remote) => ({
    url: 'corp/remote.git',
    settings: [[`url.${join(remote, '..')}/.insteadOf`, 'corp/']],
  }),
  'the longest of several beginnings': (remote) => ({
    url: 'https://example.invalid/team/remote.git',
    settings: [
      ['url./nonexistent/.insteadOf', 'https://example.invalid/'],
      [`url.${join(remote, '..')}/.insteadOf`, 'https://example.invalid/team/'],
    ],
  }),
  'another URL for a push': (remote) => ({
    url: join(remote, '../remote.git'),
    settings: [
      ['remote.origin.pushUrl', 'push:remote.git'],
      [`url.${join(remote, '..')}/.insteadOf`, 'push:'],
    ],
  }),
};

describe('a setting that replaces', () => {
  for (const [what, rewrite] of Object.entries(rewrites)) {
    for (const workspaceMode of ['worktree', 'shared'] as const) {
      test(`${what} is obeyed by the sync, the delivery and the agent's git, in ${workspaceMode} mode`, async () => {
        const { clone, remote } = makeClone(sandbox);
        plantHooks(join(remote, 'hooks'));
        const { url, settings } = rewrite(remote);
        git(clone, 'config', 'remote.origin.url', url);
        for (const [name, value] of settings) git(clone, 'config', name, value);
        const pushed = pushFromElsewhere(sandbox, remote, { 'a.txt': 'two\n' });
        for (const mark of trapsRun()) rmSync(join(sandbox.folder, 'marks', mark));
        const run = await (await open(clone, { workspaceMode, gitSync: 'required' })).lease('run', never);
        assert.equal(run.sync.revision, pushed);
        assert.equal(git(run.path, 'ls-remote', 'origin', 'main').slice(0, 40), pushed);
        write(run.path, { 'b.txt': 'b\n' });
        const delivery = await run.deliver(request);
        assert.equal(delivery.state, 'pushed', delivery.detail);
        assert.equal(git(remote, 'show', 'agent/run:b.txt'), 'b');
        const examined = await examineWorkspace(clone, gitEnvironment, 20_000);
        assert.equal(examined.kind, 'reachable');
        assert.deepEqual(trapsRun(), []);
        await run.release();
      });
    }
  }

  test('a URL by one with a token does not give the token to the agent', async () => {
    const { clone, remote } = makeClone(sandbox);
    git(clone, 'config', 'url.https://user:sesame@example.invalid/.insteadOf', 'https://example.invalid/');
    git(clone, 'config', 'url.https://sesame@example.org/.pushInsteadOf', 'https://example.org/');
    git(clone, 'config', `url.${remote}.insteadOf`, 'mine:');
    const run = await (await open(clone)).lease('run', never);
    const settings = read(run, '.git/config');
    assert.doesNotMatch(settings, /sesame/);
    assert.match(settings, /mine:/);
  });
});
