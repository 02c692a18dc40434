/** `doctor` finds what is wrong with a real installation, and names the command that fixes it. */
import assert from 'node:assert/strict';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkNode } from '../../src/cli/checks.ts';
import { runDoctor } from '../../src/cli/doctor.ts';
import { type Environment, hostEnvironment, loadConfig } from '../../src/config/config.ts';
import { fakeModelEnvironment } from '../../src/fake-model/agent-environment.ts';
import { runCommand } from '../../src/processes/child-process.ts';
import { packagedClaude, scratchFolder } from '../support/fake-model-agent.ts';
import { git, makeClone, makeSandbox } from '../support/git-repositories.ts';

/** A working installation: the real CLI with a key, an empty home and data folder, a free port. */
async function installation(t: TestContext) {
  const home = await scratchFolder(t);
  const environment = fakeModelEnvironment('http://127.0.0.1:9', home, hostEnvironment());
  const settings: Environment = { CLAUDE_BIN: packagedClaude, DATA_DIR: join(home, 'data'), PORT: '0', SANDBOX: 'off' };
  const examine = (more: Environment = {}, env: Environment = {}) =>
    runDoctor(loadConfig([], { ...settings, ...more }), { ...environment, ...env });
  return { home, environment, settings, examine };
}

function lineWith(lines: string[], pattern: RegExp): string {
  const found = lines.find((line) => pattern.test(line));
  assert.ok(found, `no line has ${pattern}:\n${lines.join('\n')}`);
  return found;
}

test('an installation that works has no failure', async (t) => {
  const { examine } = await installation(t);
  const { ok, lines } = await examine();
  assert.equal(ok, true, lines.join('\n'));
  assert.match(lineWith(lines, /^ok .*claude/), /claude \d+\.\d+\.\d+ at /);
  lineWith(lines, /^ok .*signed in: API key from ANTHROPIC_API_KEY/);
  lineWith(lines, /^ok .*data folder .* will be made on the first start/);
});

test('a missing sign-in is a failure', async (t) => {
  const { examine } = await installation(t);
  const { ok, lines } = await examine({}, { ANTHROPIC_API_KEY: undefined });
  assert.equal(ok, false);
  lineWith(lines, /^failure .*not signed in: .* To fix it: .*claude auth login, or set ANTHROPIC_API_KEY/);
});

test('a sign-in by login is not taken for one by key', async (t) => {
  const { examine, home } = await installation(t);
  await mkdir(join(home, '.claude'));
  const login = {
    accessToken: 'a',
    refreshToken: 'r',
    expiresAt: 4e12,
    scopes: ['user:inference'],
    subscriptionType: 'max',
  };
  await writeFile(join(home, '.claude', '.credentials.json'), JSON.stringify({ claudeAiOauth: login }));
  const { lines } = await examine({}, { ANTHROPIC_API_KEY: undefined });
  lineWith(lines, /^ok .*signed in: login \(max\)/);
});

test('a claude that is missing, or is another program, is a failure', async (t) => {
  const { examine, home } = await installation(t);
  const missing = await examine({ CLAUDE_BIN: join(home, 'claude') });
  assert.equal(missing.ok, false);
  lineWith(missing.lines, /^failure .*was not found\. To fix it: npm install .*CLAUDE_BIN/);
  const other = join(home, 'other');
  await writeFile(other, '#!/bin/sh\necho "unknown option $1" >&2; exit 2\n');
  await chmod(other, 0o755);
  lineWith(
    (await examine({ CLAUDE_BIN: other })).lines,
    /^failure .*The version of .* is not known: unknown option --version/,
  );
});

test('a claude whose sign-in is not known is only a warning', async (t) => {
  const { examine, home } = await installation(t);
  const old = join(home, 'old');
  await writeFile(old, '#!/bin/sh\n[ "$1" = --version ] && echo "9.0.0 (Claude Code)" || exit 1\n');
  await chmod(old, 0o755);
  const { ok, lines } = await examine({ CLAUDE_BIN: old });
  assert.equal(ok, true);
  lineWith(lines, /^warning .*It is not known whether Claude Code is signed in/);
});

test('a claude that is too old is a failure that names its version and the fix', async (t) => {
  const { examine, home } = await installation(t);
  const old = join(home, 'old');
  for (const [version, ok] of [
    ['2.1.298', false],
    ['2.1.258', false],
    ['1.99.999', false],
    ['2.1.299', true],
    ['2.1.1000', true],
    ['2.2.0', true],
    ['10.0.0', true],
  ] as const) {
    await writeFile(old, `#!/bin/sh\n[ "$1" = --version ] && echo "${version} (Claude Code)" || exit 1\n`);
    await chmod(old, 0o755);
    const found = await examine({ CLAUDE_BIN: old });
    assert.equal(found.ok, ok, version);
    if (!ok)
      lineWith(
        found.lines,
        new RegExp(`^failure .*claude ${version}: the server needs 2\\.1\\.299 or newer.*claude update`),
      );
  }
});

test('a port that is taken, or an address of another machine, is a failure', async (t) => {
  const { examine } = await installation(t);
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  t.after(() => holder.close());
  const { port } = holder.address() as AddressInfo;
  const { ok, lines } = await examine({ PORT: String(port) });
  assert.equal(ok, false);
  lineWith(lines, new RegExp(`^failure .*Port ${port} .*is taken.*PORT=${port + 1}`));
  lineWith((await examine({ HOST: '192.0.2.1' })).lines, /^failure .*192\.0\.2\.1 cannot be used.*HOST/);
});

test('a data folder that cannot be made is a failure, and one that others can open is a warning', async (t) => {
  const { examine, home } = await installation(t);
  const file = join(home, 'file');
  await writeFile(file, '');
  for (const folder of [file, join(file, 'below')]) {
    const { ok, lines } = await examine({ DATA_DIR: folder });
    assert.equal(ok, false);
    lineWith(lines, /^failure .*file is not a folder\. To fix it: set DATA_DIR/);
  }
  const open = join(home, 'open');
  await mkdir(open);
  await chmod(open, 0o755);
  lineWith((await examine({ DATA_DIR: open })).lines, /^warning .*other users.*chmod go= /);
});

test('a missing workspace is a failure; one without a repository or a remote is a warning, unless it is required', async (t) => {
  const { examine, home } = await installation(t);
  const missing = await examine({ WORKSPACE_DIR: join(home, 'missing') });
  assert.equal(missing.ok, false);
  lineWith(missing.lines, /^failure .*missing is not a folder\. To fix it: git clone/);
  const folder = await scratchFolder(t);
  const plain = await examine({ WORKSPACE_DIR: folder });
  assert.equal(plain.ok, true);
  lineWith(plain.lines, /^warning .*not a git repository.*git -C .* init/);
  assert.equal((await examine({ WORKSPACE_DIR: folder, WORKSPACE_MODE: 'worktree' })).ok, false);
  git(folder, 'init', '--quiet');
  lineWith((await examine({ WORKSPACE_DIR: folder })).lines, /^warning .*no remote/);
  assert.equal((await examine({ WORKSPACE_DIR: folder, GIT_SYNC: 'required' })).ok, false);
});

test('a remote that answers is ok, and one that does not is a warning, or a failure where it is required', async (t) => {
  const { examine } = await installation(t);
  const sandbox = makeSandbox();
  t.after(sandbox.remove);
  const { remote, clone } = makeClone(sandbox);
  lineWith((await examine({ WORKSPACE_DIR: clone, GIT_SYNC: 'required' })).lines, /^ok .*origin\/main, which answers/);
  await rm(remote, { recursive: true });
  const dead = await examine({ WORKSPACE_DIR: clone });
  assert.equal(dead.ok, true);
  lineWith(dead.lines, /^warning .*cannot be reached: .*remote\.git.* To fix it: git -C .* fetch/);
  assert.equal((await examine({ WORKSPACE_DIR: clone, GIT_SYNC: 'required' })).ok, false);
  assert.equal(git(clone, 'status', '--porcelain'), '');
});

test('a remote that asks for a password is a warning at once', async (t) => {
  const { examine } = await installation(t);
  const sandbox = makeSandbox();
  t.after(sandbox.remove);
  const { clone } = makeClone(sandbox);
  const guarded = createHttpServer((_, response) => {
    response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
  });
  await new Promise<void>((resolve) => guarded.listen(0, '127.0.0.1', resolve));
  t.after(() => guarded.close());
  git(
    clone,
    'remote',
    'set-url',
    'origin',
    `http://127.0.0.1:${(guarded.address() as AddressInfo).port}/repository.git`,
  );
  lineWith((await examine({ WORKSPACE_DIR: clone })).lines, /^warning .*cannot be reached: .*could not read Username/);
});

test('a missing git is a failure, and a missing sandbox a warning, or a failure where it is required', async (t) => {
  const { examine, home } = await installation(t);
  const folder = await scratchFolder(t);
  git(folder, 'init', '--quiet');
  const bare = { PATH: home };
  const { lines } = await examine({ WORKSPACE_DIR: folder, SANDBOX: 'auto' }, bare);
  lineWith(lines, /^failure .*git cannot be started/);
  lineWith(lines, /^warning .*not contained: bwrap is not installed.*apt-get install bubblewrap/);
  const required = await examine({ SANDBOX: 'required' }, bare);
  assert.equal(required.ok, false);
  lineWith(required.lines, /^failure .*not contained/);
});

test('full access without a sandbox is a failure, or a warning with SANDBOX=off', async (t) => {
  const { examine, home } = await installation(t);
  lineWith(
    (await examine({ AGENT_ACCESS: 'full' })).lines,
    /^warning .*SANDBOX=off.*AGENT_ACCESS=full lets them run any/,
  );
  const found = await examine({ AGENT_ACCESS: 'full', SANDBOX: 'auto' }, { PATH: home });
  assert.equal(found.ok, false);
  lineWith(found.lines, /^failure .*not contained: .*AGENT_ACCESS=full lets them run any/);
});

test("the operator's own Claude Code settings that agents do not get are named", async (t) => {
  const { examine, home } = await installation(t);
  await mkdir(join(home, '.claude', 'agents'), { recursive: true });
  lineWith((await examine()).lines, /^ok .*do not get your own .*agents.*AGENT_HOME=import/);
  lineWith((await examine({ AGENT_HOME: 'import' })).lines, /^ok .*Agents read your Claude Code settings/);
});

test('a Node that is too old is a failure', async () => {
  assert.equal((await checkNode('20.20.2')).state, 'failure');
  assert.equal((await checkNode('22.17.9')).state, 'failure');
  assert.equal((await checkNode('22.18.0')).state, 'ok');
  assert.equal((await checkNode('24.0.0')).state, 'ok');
});

test('the command prints every finding, and its exit status says whether the server would work', async (t) => {
  const { environment, settings } = await installation(t);
  const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
  const env = { ...environment, ...settings };
  const run = (more: Environment) =>
    runCommand(process.execPath, [main, 'doctor'], { cwd: '/', env: { ...env, ...more }, timeoutMs: 30_000 });
  const good = await run({});
  assert.equal(good.code, 0, `${good.stdout}${good.stderr}`);
  const bad = await run({ ANTHROPIC_API_KEY: undefined });
  assert.equal(bad.code, 1);
  assert.match(bad.stdout.toString('utf8'), /^failure .*not signed in/m);
});
