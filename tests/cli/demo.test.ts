/** `demo` works without an account, says that its model is a fake model, and removes all that it made. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hostEnvironment } from '../../src/config/config.ts';
import { runCommand, startProcess } from '../../src/processes/child-process.ts';
import { endProcess } from '../../src/processes/end-process.ts';
import { listMarked } from '../../src/processes/process-tree.ts';
import { scratchFolder } from '../support/fake-model-agent.ts';
import { waitUntil } from '../support/wait-until.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** The demo makes all its files in `TMPDIR`. */
async function demoHost(t: TestContext) {
  const folder = await scratchFolder(t);
  return { folder, env: { ...hostEnvironment(), TMPDIR: folder } };
}

async function remainsIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.startsWith('claude-agent-server'));
}

test('with --once it answers one question, ends, and leaves no files', async (t) => {
  const { folder, env } = await demoHost(t);
  const result = await runCommand(process.execPath, [main, 'demo', '--once'], { cwd: folder, env, timeoutMs: 60_000 });
  const printed = result.stdout.toString('utf8');
  assert.equal(result.code, 0, `${printed}${result.stderr}`);
  assert.match(printed, /NOT a language model: it is a fake model/);
  assert.match(printed, /^curl .*\/v1\/chat\/completions/m);
  assert.match(printed, /status 200/);
  assert.match(printed, /"object": "chat\.completion"/);
  assert.match(printed, /The text of the answer: This is the fake model/);
  assert.deepEqual(await remainsIn(folder), []);
});

test('without --once it answers further questions until Ctrl-C', async (t) => {
  const { folder, env } = await demoHost(t);
  const marker = `demo-test-${process.pid}`;
  const demo = await startProcess(process.execPath, [main, 'demo'], { cwd: folder, env, stdin: 'ignore', marker });
  t.after(() => endProcess(demo));
  let printed = '';
  demo.child.stdout?.on('data', (chunk: Buffer) => {
    printed += chunk;
  });
  await waitUntil('the demo has answered and waits for more', () => printed.includes('Ctrl-C ends the demo'), 60_000);
  const [url = ''] = /http:\S+\/v1\/chat\/completions/.exec(printed) ?? [];
  const [, authorization = ''] = /'authorization: ([^']+)'/.exec(printed) ?? [];
  const body = JSON.stringify({ model: 'haiku', messages: [{ role: 'user', content: '[[say: second answer]]' }] });
  const headers = { authorization, 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body });
  assert.match(await response.text(), /second answer/);

  process.kill(demo.pid, 'SIGINT');
  assert.deepEqual(await demo.exited, { code: 0, signal: null });
  assert.deepEqual(await remainsIn(folder), []);
  assert.deepEqual(await listMarked((value) => value === marker), []);
});

test('an unknown flag is refused', async (t) => {
  const { folder, env } = await demoHost(t);
  const result = await runCommand(process.execPath, [main, 'demo', '--nonsense'], {
    cwd: folder,
    env,
    timeoutMs: 60_000,
  });
  assert.equal(result.code, 1);
  assert.match(result.stderr, /--nonsense/);
  assert.deepEqual(await remainsIn(folder), []);
});
