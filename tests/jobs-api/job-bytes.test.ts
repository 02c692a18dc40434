/** The work of a job keeps its bytes on the way from the agent's files to the client, and the record names the rest. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { differences, readTree } from '../support/compare-trees.ts';
import { commit, git, gitEnvironment, makeClone, makeSandbox } from '../support/git-repositories.ts';
import { ended, execute } from '../support/http-jobs.ts';
import { runJobsCommand } from '../support/jobs-command.ts';
import { scriptedAgent, startScriptedService } from '../support/scripted-agent.ts';
import { errorText, faultAgent, startTestService } from '../support/service.ts';

function makeRepository(t: TestContext) {
  const sandbox = makeSandbox();
  t.after(() => sandbox.remove());
  return { ...makeClone(sandbox), folder: sandbox.folder };
}

test('files of any name and content arrive in the diff and in the branch, and a NUL in the answer stops nothing', async (t) => {
  const { clone, remote, folder } = makeRepository(t);
  const settings = { CLAUDE_BIN: faultAgent('odd-files'), SANDBOX: 'off', WORKSPACE_DIR: clone };
  const service = await startTestService(t, settings);
  const id = await execute(service, { prompt: 'hi', deliver: 'branch' });
  const { workspace, status } = await ended(service, id);
  assert.equal(status, 'completed');
  assert.deepEqual(
    workspace?.files.map(({ change, path }) => `${change} ${path}`),
    ['deleted a.txt', 'added "caf\\351.txt"', 'added crlf.txt', 'added late.txt', 'added link'],
  );
  assert.deepEqual(workspace?.omitted, [
    { path: '.GIT/x', reason: 'refused_name' },
    { path: 'a.txt', reason: 'special_file' },
  ]);
  assert.equal(workspace?.patch_omitted, 'git does not allow the name: .GIT/x');
  assert.equal(workspace?.delivery?.state, 'pushed', workspace?.delivery?.detail);
  assert.match(workspace?.delivery?.detail ?? '', /lacks some of the work: git does not allow the name: \.GIT\/x/);

  const made = join(folder, 'made');
  mkdirSync(made);
  writeFileSync(join(made, 'a.txt'), '');
  execFileSync(faultAgent('odd-files'), { cwd: made });
  const expected = readTree(made);
  const response = await service.get(`/jobs/${id}/diff`);
  assert.equal(response.headers.get('x-patch-omitted'), 'git does not allow the name: .GIT/x');
  const patch = Buffer.from(await response.arrayBuffer());
  assert.equal(patch.includes(0), false, 'PostgreSQL cannot store a NUL in a text');
  const { stdout, stderr } = await runJobsCommand(t, ['diff', id, '--url', service.url]);
  assert.equal(stdout, patch.toString('utf8'));
  assert.equal(stderr, 'The patch does not hold everything: git does not allow the name: .GIT/x\n');
  const named = workspace?.omitted.map(({ path }) => path) ?? [];
  for (const [name, fill] of [
    [
      'by-patch',
      (to: string) => execFileSync('git', ['apply', '--index'], { cwd: to, env: gitEnvironment, input: patch }),
    ],
    ['by-branch', (to: string) => git(to, 'checkout', '-q', `origin/agent/${id}`)],
  ] as const) {
    const copy = join(folder, name);
    git(folder, 'clone', '-q', remote, copy);
    fill(copy);
    assert.deepEqual(differences(expected, readTree(copy), [...named, '.GIT']), [], name);
  }
});

test('deliver is refused before anything is spent, if there is nothing to push to', async (t) => {
  const { clone, folder } = makeRepository(t);
  const plain = join(folder, 'plain');
  mkdirSync(plain);
  const alone = join(folder, 'alone');
  mkdirSync(alone);
  git(alone, 'init', '-q');
  commit(alone, { 'a.txt': 'a\n' });
  const several = join(folder, 'several');
  git(folder, 'clone', '-q', '--origin', 'one', clone, several);
  git(several, 'remote', 'add', 'two', clone);
  git(several, 'checkout', '-q', '--detach');
  for (const [settings, why] of [
    [{}, /the server has no workspace/],
    [{ WORKSPACE_DIR: plain }, /is not a git repository/],
    [{ WORKSPACE_DIR: alone }, /the repository has no remote/],
    [{ WORKSPACE_DIR: alone, WORKSPACE_MODE: 'shared' }, /the repository has no remote/],
    [{ WORKSPACE_DIR: several }, /several remotes, none is called origin/],
  ] as const) {
    const service = await startScriptedService(t, settings);
    const response = await service.post('/execute', { prompt: 'hi', deliver: 'branch' });
    assert.equal(response.status, 400);
    const text = await errorText(response);
    assert.match(text, /deliver/);
    assert.match(text, why);
    await execute(service, { prompt: 'hi' });
    await service.close(0);
  }
  const accepted = await startTestService(t, { CLAUDE_BIN: scriptedAgent, SANDBOX: 'off', WORKSPACE_DIR: clone });
  await execute(accepted, { prompt: 'hi', deliver: 'branch' });
});
