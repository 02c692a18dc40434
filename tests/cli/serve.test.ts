/** The first start: where the new key is shown, and that the commands of README work unchanged. */
import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hostEnvironment } from '../../src/config/config.ts';
import { runCommand, startProcess } from '../../src/processes/child-process.ts';
import { endProcess } from '../../src/processes/end-process.ts';
import { scratchFolder } from '../support/fake-model-agent.ts';
import { waitUntil } from '../support/wait-until.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const server = [process.execPath, join(root, 'bin', 'claude-agent-server.js'), 'serve'];
const scriptedAgent = fileURLToPath(new URL('../support/agents/scripted', import.meta.url));

/** Starts a server by a command line, with an empty home and without a key. */
async function startFirst(t: TestContext, [command = '', ...args]: string[], PORT = '0') {
  const home = await scratchFolder(t);
  const { PATH } = hostEnvironment();
  const settings = { CLAUDE_BIN: scriptedAgent, SANDBOX: 'off', PREWARMED_AGENTS: '0' };
  const env = { PATH, HOME: home, TERM: 'xterm', PORT, ...settings };
  const marker = `serve-test-${process.pid}-${home}`;
  const started = await startProcess(command, args, { cwd: root, env, stdin: 'ignore', marker });
  t.after(() => endProcess(started));
  let printed = '';
  for (const output of [started.child.stdout, started.child.stderr]) {
    output?.on('data', (chunk: Buffer) => {
      printed += chunk;
    });
  }
  await waitUntil('the server prints where the key is', () => printed.includes('api-key'), 60_000);
  const path = join(home, '.local', 'share', 'claude-agent-server', 'api-key');
  const key = (await readFile(path, 'utf8')).trim();
  assert.match(key, /^cas-[\w-]{32}$/);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  const end = async () => {
    started.child.kill('SIGTERM');
    await started.exited;
    return printed;
  };
  return { env, path, key, end };
}

test('without a terminal the first start prints where the key is, but not the key', async (t) => {
  const { path, key, end } = await startFirst(t, ['sh', '-c', `umask 0; exec "$0" "$@"`, ...server]);
  const printed = await end();
  assert.ok(printed.includes(`A new API key was made; it is kept in ${path}"`), printed);
  assert.ok(!printed.includes(key));
  assert.ok(!printed.includes(key.slice(4)));
});

test('on a pseudo-terminal of util-linux the first start shows the key', async (t) => {
  if (!(await isInstalled('script', 'util-linux'))) return t.skip('there is no script of util-linux');
  const { path, key, end } = await startFirst(t, ['script', '-qefc', `exec '${server.join("' '")}'`, '/dev/null']);
  const printed = await end();
  assert.ok(printed.includes(`API key (shown once): ${key}\r\n`), printed);
  assert.ok(printed.includes(path));
});

test('the commands of README work when they are pasted in order', async (t) => {
  if (!(await isInstalled('curl'))) return t.skip('there is no curl');
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const [, chapter = ''] = /## Run it for real\n([\s\S]*?)\n## /.exec(readme) ?? [];
  const port = await freePort();
  const [start = '', ask = ''] = [...chapter.matchAll(/ {3}```sh\n([\s\S]*?) {3}```/g)].map(([, block = '']) =>
    block.replace(/^ {3}/gm, '').replaceAll(':8000/', `:${port}/`),
  );
  const { env, key, end } = await startFirst(t, ['sh', '-c', start], String(port));
  const asked = await runCommand('sh', ['-c', `${ask}\necho "$API_BEARER_TOKEN"`], {
    cwd: root,
    env,
    timeoutMs: 60_000,
  });
  const answer = asked.stdout.toString();
  assert.match(answer, /"object":"chat\.completion"/, asked.stderr);
  assert.ok(answer.endsWith(`${key}\n`));
  assert.ok(!(await end()).includes(key));
});

async function isInstalled(command: string, named = command): Promise<boolean> {
  const options = { cwd: root, env: hostEnvironment(), timeoutMs: 10_000 };
  const found = await runCommand(command, ['--version'], options).catch(() => undefined);
  return found?.stdout.includes(named) ?? false;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
