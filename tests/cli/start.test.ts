/** When the server refuses to start, what it prints about its agents, and when it is ready. */
import assert from 'node:assert/strict';
import { chmod, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Environment, hostEnvironment } from '../../src/config/config.ts';
import { runCommand } from '../../src/processes/child-process.ts';
import { hasBubblewrap, withoutBubblewrap } from '../support/bubblewrap.ts';
import { fakeModelAgent, packagedClaude, scratchFolder } from '../support/fake-model-agent.ts';
import { startServerProcess } from '../support/server-process.ts';
import { faultAgent, startTestService } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

const main = fileURLToPath(new URL('../../bin/claude-agent-server.js', import.meta.url));

/** Starts a server that is expected to fail, and returns its exit status and its standard error. */
async function failedStart(t: TestContext, settings: Environment): Promise<{ code: number | null; stderr: string }> {
  const folder = await scratchFolder(t);
  const env = { PATH: hostEnvironment()['PATH'], HOME: folder, DATA_DIR: join(folder, 'data'), PORT: '0', ...settings };
  const options = { cwd: '/', env, timeoutMs: 20_000 };
  const { code, stderr } = await runCommand(process.execPath, [main, 'serve'], options);
  return { code, stderr };
}

/** A command that only prints a version. */
async function claudeOf(t: TestContext, version: string): Promise<string> {
  const file = join(await scratchFolder(t), 'claude');
  await writeFile(file, `#!/bin/sh\n[ "$1" = --version ] && echo "${version} (Claude Code)"\n`);
  await chmod(file, 0o755);
  return file;
}

test('the server does not start with a claude that is too old, and names the fix', async (t) => {
  for (const version of ['2.1.298', '2.0.1', '1.0.128']) {
    const { code, stderr } = await failedStart(t, { CLAUDE_BIN: await claudeOf(t, version) });
    assert.equal(code, 1);
    assert.match(
      stderr,
      new RegExp(`claude ${version}: the server needs 2\\.1\\.299 or newer; .*claude update.*CLAUDE_BIN`),
    );
  }
});

test('the packaged claude is used even when another one is on PATH', async (t) => {
  const planted = await claudeOf(t, '1.0.0');
  const { environment } = await fakeModelAgent(t);
  const settings = { PATH: `${join(planted, '..')}:${environment['PATH']}`, ANTHROPIC_API_KEY: 'x' };
  const server = await startServerProcess(t, settings);
  assert.match(server.stdout(), /listens on/);
});

test('full access without a sandbox starts only with SANDBOX=off', async (t) => {
  const nothing = await scratchFolder(t);
  const { code, stderr } = await failedStart(t, { AGENT_ACCESS: 'full', PATH: nothing });
  assert.equal(code, 1);
  assert.match(
    stderr,
    /Cannot start with AGENT_ACCESS=full: agents are not contained: .*bubblewrap.*or set SANDBOX=off/s,
  );
  const required = await failedStart(t, { SANDBOX: 'required', PATH: nothing });
  assert.equal(required.code, 1);
  assert.match(required.stderr, /Cannot start with SANDBOX=required: .*apt-get install bubblewrap/);
  const server = await startServerProcess(t, { AGENT_ACCESS: 'full', SANDBOX: 'off', PATH: nothing });
  await waitUntil('it warns', () => /WARNING: agents are not contained: SANDBOX=off/.test(server.stdout()));
});

test('the start prints that agents run in a sandbox, and that a workspace is trusted', {
  skip: withoutBubblewrap,
}, async (t) => {
  const server = await startServerProcess(t, { TRUST_WORKSPACE: 'on' });
  await waitUntil('it is printed', () => /agents run in a sandbox \(bwrap\)/.test(server.stdout()));
  assert.match(
    server.stdout(),
    /TRUST_WORKSPACE=on: hooks, settings and MCP servers of the workspace run with your key/,
  );
});

test('the log has whether agents run in a sandbox, and what is missing', async (t) => {
  const nothing = await scratchFolder(t);
  const server = await startServerProcess(t, { LOG_LEVEL: 'info', PATH: nothing });
  await waitUntil('it is logged', () =>
    /"sandbox":"none".*"remedy":"sudo apt-get install bubblewrap"/.test(server.stderr()),
  );
  if (!hasBubblewrap) return;
  const contained = await startServerProcess(t, { LOG_LEVEL: 'info' });
  await waitUntil('it is logged', () => /"sandbox":"bwrap".*agents are contained/.test(contained.stderr()));
});

test('/ready is 503 while the command is missing, and 200 when it is there', async (t) => {
  const command = join(await scratchFolder(t), 'claude');
  await writeFile(command, '#!/bin/sh\necho "{\\"loggedIn\\":true,\\"authMethod\\":\\"api_key\\"}"\n', { mode: 0o755 });
  const service = await startTestService(t, { CLAUDE_BIN: command, SANDBOX: 'off' });
  assert.equal((await service.get('/ready')).status, 200);
  await rm(command);
  const missing = await service.get('/ready');
  assert.equal(missing.status, 503);
  assert.match(await missing.text(), /Cannot start claude: CLAUDE_BIN=claude was not found/);
  await writeFile(command, '#!/bin/sh\necho "{\\"loggedIn\\":true}"\n', { mode: 0o755 });
  assert.equal((await service.get('/ready')).status, 200);
});

test('/ready is 503 while the real CLI is not signed in', async (t) => {
  const { environment } = await fakeModelAgent(t);
  const settings = { CLAUDE_BIN: packagedClaude };
  const signedOut = await startTestService(t, settings, { ...environment, ANTHROPIC_API_KEY: undefined });
  const refused = await signedOut.get('/ready');
  assert.equal(refused.status, 503);
  assert.match(await refused.text(), /Claude Code is not signed in/);
  const signedIn = await startTestService(t, settings, environment);
  assert.equal((await signedIn.get('/ready')).status, 200);
});

test('/ready does not start the command for each probe', async (t) => {
  const folder = await scratchFolder(t);
  const command = join(folder, 'claude');
  await writeFile(command, `#!/bin/sh\necho asked >> ${folder}/asked\necho '{"loggedIn":true}'\n`, { mode: 0o755 });
  const service = await startTestService(t, { CLAUDE_BIN: command, SANDBOX: 'off' });
  const probes = await Promise.all(Array.from({ length: 20 }, () => service.get('/ready')));
  assert.deepEqual(new Set(probes.map(({ status }) => status)), new Set([200]));
  const { readFile } = await import('node:fs/promises');
  assert.equal(await readFile(join(folder, 'asked'), 'utf8'), 'asked\n');
});

test('a command that never answers delays neither /ready nor the end of the server', async (t) => {
  const service = await startTestService(t, { CLAUDE_BIN: faultAgent('hangs'), SANDBOX: 'off' });
  const probe = service.get('/ready').catch(() => undefined);
  await service.close(0);
  await probe;
});
