/** On a Node that is too old, the command says so in one line. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const bin = (name: string) => fileURLToPath(new URL(`../../bin/${name}`, import.meta.url));
const oneLine = /^Cannot run on Node [\d.]+: Node 22\.18 or newer is needed; [^\n]+\n$/;

for (const [version, status] of [
  ['18.20.8', 1],
  ['20.20.2', 1],
  ['22.17.1', 1],
  ['22.18.0', 0],
  ['26.0.0', 0],
] as const) {
  test(`Node ${version} is ${status === 0 ? 'new enough' : 'refused with what to do'}`, () => {
    const script = `Object.defineProperty(process.versions, 'node', { value: '${version}' }); require('${bin('node-guard.cjs')}')`;
    const ended = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    assert.equal(ended.status, status);
    if (status === 1) assert.match(ended.stderr, oneLine);
    else assert.equal(ended.stderr, '');
  });
}

const [, systemNode = '', major = ''] = /^(.*)\n.*v(\d+)/.exec(findSystemNode()) ?? [];

test('the command itself runs far enough on a real old Node to say so', {
  skip: !(Number(major) > 0 && Number(major) < 22) && 'the system has no Node before 22',
}, () => {
  const ended = spawnSync(systemNode, [bin('claude-agent-server.js'), 'serve'], { encoding: 'utf8' });
  assert.deepEqual([ended.status, ended.stdout], [1, '']);
  assert.match(ended.stderr, oneLine);
});

/** Returns the path of the Node that is installed outside of this package, and its version on a second line. */
function findSystemNode(): string {
  return (
    ['/usr/bin/node', '/usr/local/bin/node']
      .map((path) => `${path}\n${spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout ?? ''}`)
      .find((found) => /\nv\d/.test(found)) ?? ''
  );
}
