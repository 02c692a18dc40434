/** The npm scripts: a signal to npm ends the server that npm started. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hostEnvironment } from '../../src/config/config.ts';
import { startProcess } from '../../src/processes/child-process.ts';
import { endProcess } from '../../src/processes/end-process.ts';
import { listMarked } from '../../src/processes/process-tree.ts';
import { scratchFolder } from '../support/fake-model-agent.ts';
import { testToken } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} to the npm of "npm start" ends the server`, { skip: process.platform !== 'linux' }, async (t) => {
    const DATA_DIR = await scratchFolder(t);
    const marker = `npm-start-${signal}-${process.pid}`;
    const settings = { API_BEARER_TOKEN: testToken, PORT: '0', DATA_DIR, LOG_LEVEL: 'silent', PREWARMED_AGENTS: '0' };
    const env = { ...hostEnvironment(), ...settings };
    const npm = await startProcess('npm', ['start'], { cwd: root, env, stdin: 'ignore', marker });
    t.after(() => endProcess(npm));
    let printed = '';
    npm.child.stdout?.on('data', (chunk: Buffer) => {
      printed += chunk;
    });
    const url = await waitUntil('the server listens', () => /listens on ([^\s"]+)/.exec(printed)?.[1], 60_000);
    assert.equal((await fetch(`${url}/health`)).status, 200);
    const started = await listMarked((found) => found === marker);
    assert.ok(started.length > 1, 'npm and the server run');

    npm.child.kill(signal);
    const left = async () => (await listMarked((found) => found === marker)).length;
    await waitUntil('npm and the server have ended', async () => (await left()) === 0, 20_000);
    assert.match(printed, /stopping: runs may finish/);
    await assert.rejects(fetch(`${url}/health`));
  });
}

test('no script that runs one command leaves a shell between npm and that command', async () => {
  const { scripts } = JSON.parse(await readFile(`${root}package.json`, 'utf8')) as { scripts: Record<string, string> };
  // `test` is not among them: it runs the tests also after a failed check, which needs a shell.
  const names = ['start', 'dev', 'demo', 'doctor', 'jobs', 'bench', 'test:contract', 'test:fault', 'test:clients'];
  for (const name of names) {
    const last = scripts[name]?.split('&&').at(-1)?.trim();
    assert.match(last ?? '', /^exec node /, name);
  }
});
