/** Signals that cannot be sent: they are no reason for the server to fail. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { runCommand, startProcess } from '../../src/processes/child-process.ts';
import { endProcess } from '../../src/processes/end-process.ts';
import { isAlive, sendSignal } from '../../src/processes/signals.ts';

const options = { cwd: '/', env: { PATH: '/usr/bin:/bin' }, marker: `signals-test:${process.pid}` };

/** Node throws this for a process of another user. */
function refuseSignals(t: TestContext, code: string) {
  return t.mock.method(process, 'kill', () => {
    throw Object.assign(new Error(`kill ${code}`), { code });
  });
}

describe('a signal that cannot be sent', () => {
  for (const code of ['ESRCH', 'EPERM', 'EINVAL']) {
    test(`is false, not an error (${code})`, (t) => {
      refuseSignals(t, code);
      assert.equal(sendSignal(1, 'SIGTERM'), false);
    });
  }

  test('leaves a command that is over its time running, which is then waited for', async (t) => {
    refuseSignals(t, 'EPERM');
    const { code, stopped } = await runCommand('sleep', ['0.2'], { ...options, timeoutMs: 20, graceMs: 20 });
    assert.deepEqual({ code, stopped }, { code: 0, stopped: 'timeout' });
  });
});

test('a process of another user is alive, and one that has ended is not', async (t) => {
  const { pid, exited } = await startProcess('true', [], { ...options, stdin: 'ignore' });
  await exited;
  assert.equal(isAlive(pid), false);
  refuseSignals(t, 'EPERM');
  assert.equal(isAlive(pid), true);
});

describe('the end of a process', () => {
  for (const [what, script, forced] of [
    ['that ends on SIGTERM needs no force', 'sleep 300', false],
    ['that ignores SIGTERM needs force', "trap '' TERM; while :; do sleep 1; done", true],
  ] as const) {
    test(what, async () => {
      const started = await startProcess('sh', ['-c', `echo ready; ${script}`], { ...options, stdin: 'ignore' });
      await new Promise((resolve) => started.child.stdout?.once('data', resolve));
      assert.equal(await endProcess(started), forced);
      assert.equal(isAlive(started.pid), false);
    });
  }

  test('that has ended already needs no force', async () => {
    const started = await startProcess('true', [], { ...options, stdin: 'ignore' });
    await started.exited;
    assert.equal(await endProcess(started), false);
  });
});
