/** The commands themselves: their names, the version, and where the server says that it listens. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import packageJson from '../../package.json' with { type: 'json' };
import { hostEnvironment } from '../../src/config/config.ts';
import { runCommand } from '../../src/processes/child-process.ts';
import { scratchFolder } from '../support/fake-model-agent.ts';
import { startServerProcess } from '../support/server-process.ts';

const main = fileURLToPath(new URL('../../bin/claude-agent-server.js', import.meta.url));

async function run(t: TestContext, args: string[], settings: Record<string, string> = {}) {
  const folder = await scratchFolder(t);
  const base = { PATH: hostEnvironment()['PATH'], HOME: folder, DATA_DIR: join(folder, 'data'), PORT: '0' };
  const options = { cwd: '/', env: { ...base, LOG_LEVEL: 'silent', ...settings }, timeoutMs: 30_000 };
  const { code, stdout, stderr } = await runCommand(process.execPath, [main, ...args], options);
  return { code, stdout: stdout.toString(), stderr };
}

test('--version and -V print the version', async (t) => {
  for (const flag of ['--version', '-V', 'version']) {
    assert.deepEqual(await run(t, [flag]), { code: 0, stdout: `${packageJson.version}\n`, stderr: '' });
  }
});

describe('a misspelt name is an error with the nearest right one', () => {
  for (const [args, stderr] of [
    [['serv'], 'Cannot run "serv": there is no such command; did you mean serve?\n'],
    [['docter'], 'Cannot run "docter": there is no such command; did you mean doctor?\n'],
    [['job', 'list'], 'Cannot run "job": there is no such command; did you mean jobs?\n'],
    [['zzz'], 'Cannot run "zzz": there is no such command; there are serve, doctor, demo, jobs\n'],
    [['constructor'], 'Cannot run "constructor": there is no such command; there are serve, doctor, demo, jobs\n'],
    [['serve', '--prot', '1'], 'Cannot use "--prot": there is no such setting; did you mean --port?\n'],
    [['doctor', '--prot', '1'], 'Cannot use "--prot": there is no such setting; did you mean --port?\n'],
    [['demo', '--onec'], 'Cannot use "--onec": there is no such setting; did you mean --once?\n'],
  ] as const) {
    test(args.join(' '), async (t) => {
      const result = await run(t, [...args]);
      assert.deepEqual([result.code, result.stderr], [1, stderr]);
    });
  }

  test('in the environment, for the server and for doctor', async (t) => {
    for (const command of ['serve', 'doctor']) {
      const { code, stderr } = await run(t, [command], { MAX_CONCURENT_RUNS: '1', API_BEARER_TOKEN: 'My Key' });
      assert.equal(code, 1);
      assert.match(stderr, /^Cannot use MAX_CONCURENT_RUNS: .*; did you mean MAX_CONCURRENT_RUNS\?$/m);
      assert.match(stderr, /^Cannot use API_BEARER_TOKEN: it has white space in it/m);
      assert.doesNotMatch(stderr, /My Key/);
    }
  });
});

async function takenPort(t: TestContext): Promise<number> {
  const taken: Server = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  t.after(() => taken.close());
  return (taken.address() as { port: number }).port;
}

test('an address that cannot be used is one line with the remedy, also in doctor and the demo', async (t) => {
  const port = await takenPort(t);
  const taken = `Port ${port} of 127.0.0.1 is taken. To fix it: end the process that uses it, or set PORT=${port + 1}`;
  const serve = await run(t, ['serve'], { PORT: String(port) });
  assert.deepEqual([serve.code, serve.stderr], [1, `Cannot listen: ${taken}\n`]);
  assert.ok((await run(t, ['doctor'], { PORT: String(port) })).stdout.includes(`failure  ${taken}\n`));
  const demo = await run(t, ['demo', '--once'], { PORT: String(port) });
  assert.deepEqual([demo.code, demo.stderr], [1, `Cannot listen: ${taken}\n`]);
  const elsewhere = await run(t, ['serve'], { HOST: '192.0.2.1' });
  assert.deepEqual(
    [elsewhere.code, elsewhere.stderr],
    [
      1,
      'Cannot listen: Port 0 of 192.0.2.1 cannot be used: the address is not one of this machine. To fix it: set HOST to an address of this machine, such as 127.0.0.1\n',
    ],
  );
});

test('a server on all addresses says so, with an address that can be used', async (t) => {
  const server = await startServerProcess(t, { HOST: '0.0.0.0' });
  assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+$/);
  assert.equal((await fetch(`${server.url}/health`)).status, 200);
  const { port } = new URL(server.url);
  assert.ok(server.stdout().includes(`(bound to 0.0.0.0:${port}, all addresses of this machine`), server.stdout());
});

test('without a terminal every line is JSON, and none has the key', async (t) => {
  const key = 'a-secret-key-of-the-operator';
  const server = await startServerProcess(t, { LOG_LEVEL: 'debug', SANDBOX: 'off', API_BEARER_TOKEN: key });
  for (const headers of [{ authorization: `Bearer ${key}` }, { 'x-api-key': key }, { 'api-key': `${key}x` }]) {
    await fetch(`${server.url}/v1/models?key=${key}`, { headers });
    await fetch(`${server.url}/v1/models/${key}`, { headers });
  }
  server.child.kill('SIGTERM');
  await server.exited;
  const lines = `${server.stdout()}${server.stderr()}`.split('\n').filter((line) => line !== '');
  assert.ok(lines.length > 10);
  for (const line of lines) {
    assert.equal(typeof (JSON.parse(line) as { msg: unknown }).msg, 'string');
    assert.ok(!line.includes(key), line);
  }
});
