/** The build step in docs/jobs.md works unchanged: from a checkout, and with nothing but Node. */
import assert from 'node:assert/strict';
import { cp, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hostEnvironment } from '../../src/config/config.ts';
import { runCommand } from '../../src/processes/child-process.ts';
import { scratchFolder } from '../support/fake-model-agent.ts';
import { startScriptedService } from '../support/scripted-agent.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

test('a build submits its job from a checkout, without installing anything', async (t) => {
  const service = await startScriptedService(t);
  const build = await scratchFolder(t);
  await mkdir(join(build, 'claude-agent-server'));
  for (const part of ['bin', 'src', 'package.json']) {
    await cp(join(root, part), join(build, 'claude-agent-server', part), { recursive: true });
  }
  const text = await readFile(join(root, 'docs', 'jobs.md'), 'utf8');
  const [, folded = ''] = /- name: Fix the build\n[\s\S]*? {2}run: >\n([\s\S]*?)```/.exec(text) ?? [];
  const command = folded
    .trim()
    .replace(/\n\s+/g, ' ')
    .replaceAll(/\$\{\{ ([\w.]+) \}\}/g, '$1')
    .replace('https://agent.example.org', service.url)
    // There is no repository to push to.
    .replace('--deliver branch ', '');
  assert.match(command, /^node claude-agent-server\/bin/);
  const node = dirname(process.execPath);
  const env = { PATH: `${node}:${hostEnvironment()['PATH']}`, HOME: build, API_BEARER_TOKEN: service.token };
  const result = await runCommand('sh', ['-c', command], { cwd: build, env, timeoutMs: 60_000 });
  assert.equal(result.code, 0, result.stderr);
  assert.equal(await readFile(join(build, 'answer.md'), 'utf8'), 'ok\n');
});
