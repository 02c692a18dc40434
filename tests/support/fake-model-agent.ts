/** The real agent with the fake model, for one test. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Environment, hostEnvironment } from '../../src/config/config.ts';
import { fakeModelEnvironment } from '../../src/fake-model/agent-environment.ts';
import { type FakeModel, type FakeModelOptions, startFakeModel } from '../../src/fake-model/fake-model.ts';

/** The `claude` command of this package. */
export const packagedClaude = fileURLToPath(new URL('../../node_modules/.bin/claude', import.meta.url));

export type FakeModelAgent = { model: FakeModel; environment: Environment; home: string; claudeBin: string };

/** Starts a fake model and makes a scratch home; both are removed when the test ends. */
export async function fakeModelAgent(t: TestContext, options?: FakeModelOptions): Promise<FakeModelAgent> {
  const model = await startFakeModel(options);
  t.after(() => model.close());
  const home = await scratchFolder(t);
  // Without `IS_SANDBOX` the CLI refuses to skip permissions as root.
  const environment = { ...fakeModelEnvironment(model.url, home, hostEnvironment()), IS_SANDBOX: '1' };
  return { model, environment, home, claudeBin: packagedClaude };
}

/**
 * An empty folder that is removed when the test ends.
 * @param before is called before that: a server must not lose its data folder while it runs
 */
export async function scratchFolder(t: TestContext, before?: () => unknown): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'claude-agent-server-test-'));
  t.after(async () => {
    await before?.();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  return folder;
}
