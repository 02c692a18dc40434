/** `demo` shows the whole product without an account, says that its model is a stand-in, and leaves nothing behind. */
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

/** What the demo makes, it makes in `TMPDIR`. */
async function demoHost(t: TestContext) {
  const folder = await scratchFolder(t);
  return { folder, env: { ...hostEnvironment(), TMPDIR: folder } };
}

async function leftIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.startsWith('claude-agent-server'));
}

test('one question and its answer, and then nothing is left', async (t) => {
  const { folder, env } = await demoHost(t);
  const result = await runCommand(process.execPath, [main, 'demo', '--once'], { cwd: folder, env, timeoutMs: 60_000 });
  const printed = result.stdout.toString('utf8');
  assert.equal(result.code, 0, `${printed}${result.stderr}`);
  assert.match(printed, /NOT a language model: it is a scripted stand-in/);
  assert.match(printed, /^curl .*\/v1\/chat\/completions/m);
  assert.match(printed, /status 200/);
  assert.match(printed, /"object": "chat\.completion"/);
  assert.match(printed, /In words: This is the fake model/);
  assert.deepEqual(await leftIn(folder), []);
});

test('without --once it stays up for more questions, until Ctrl-C', async (t) => {
  const { folder, env } = await demoHost(t);
  const marker = `demo-test-${process.pid}`;
  const demo = await startProcess(process.execPath, [main, 'demo'], { cwd: folder, env, stdin: 'ignore', marker });
  t.after(() => endProcess(demo));
  let printed = '';
  demo.child.stdout?.on('data', (chunk: Buffer) => {
    printed += chunk;
  });
  await waitUntil('the demo has answered and waits', () => printed.includes('Ctrl-C ends the demo'), 60_000);
  const [url = ''] = /http:\S+\/v1\/chat\/completions/.exec(printed) ?? [];
  const [, authorization = ''] = /'authorization: ([^']+)'/.exec(printed) ?? [];
  const body = JSON.stringify({ model: 'haiku', messages: [{ role: 'user', content: '[[say: asked again]]' }] });
  const headers = { authorization, 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body });
  assert.match(await response.text(), /asked again/);

  process.kill(demo.pid, 'SIGINT');
  assert.deepEqual(await demo.exited, { code: 0, signal: null });
  assert.deepEqual(await leftIn(folder), []);
  assert.deepEqual(await listMarked((value) => value === marker), []);
});

test('a flag that does not exist is refused', async (t) => {
  const { folder, env } = await demoHost(t);
  const result = await runCommand(process.execPath, [main, 'demo', '--nonsense'], {
    cwd: folder,
    env,
    timeoutMs: 60_000,
  });
  assert.equal(result.code, 1);
  assert.match(result.stderr, /--nonsense/);
  assert.deepEqual(await leftIn(folder), []);
});
