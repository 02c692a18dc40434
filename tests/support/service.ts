/** The whole server for one test: real settings, a free port, a scratch data folder. It is closed when the test ends. */
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Environment, hostEnvironment, loadConfig } from '../../src/config/config.ts';
import { type Service, startService } from '../../src/service.ts';
import { fakeModelAgent, scratchFolder } from './fake-model-agent.ts';

export type TestService = Service & {
  post(path: string, body: unknown, headers?: Record<string, string>, signal?: AbortSignal): Promise<Response>;
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  delete(path: string, headers?: Record<string, string>): Promise<Response>;
  dataDir: string;
};

export const testToken = 'test-token';

const agentsFolder = fileURLToPath(new URL('../fault/agents/', import.meta.url));

/** The path of one of the ten-line agents in `tests/fault/agents`. */
export function faultAgent(name: string): string {
  return join(agentsFolder, name);
}

/**
 * @param settings environment names, such as `{ MAX_CONCURRENT_RUNS: '1' }`
 * @param environment the variables of the host, of which the agent inherits some
 */
export async function startTestService(
  t: TestContext,
  settings: Record<string, string> = {},
  environment: Environment = hostEnvironment(),
): Promise<TestService> {
  let started: Service | undefined;
  const dataDir = await scratchFolder(t, () => started?.close(0));
  const config = loadConfig([], {
    API_BEARER_TOKEN: testToken,
    PORT: '0',
    DATA_DIR: dataDir,
    LOG_LEVEL: 'silent',
    PREWARMED_AGENTS: '0',
    ...settings,
  });
  const service = await startService(config, environment);
  started = service;
  const headers = (more?: Record<string, string>) => ({ authorization: `Bearer ${testToken}`, ...more });
  return {
    ...service,
    dataDir,
    get: (path, more) => fetch(service.url + path, { headers: headers(more) }),
    delete: (path, more) => fetch(service.url + path, { method: 'DELETE', headers: headers(more) }),
    post: (path, body, more, signal) =>
      fetch(service.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers(more) },
        body: typeof body === 'string' ? body : JSON.stringify(body),
        signal,
      }),
  };
}

/** The server with the real CLI and a fake model. */
export async function startFakeModelService(t: TestContext, settings: Record<string, string> = {}) {
  const agent = await fakeModelAgent(t);
  const service = await startTestService(t, { CLAUDE_BIN: agent.claudeBin, ...settings }, agent.environment);
  return { ...agent, service };
}

/** A chat body with one question. */
export function ask(content: string, more: Record<string, unknown> = {}) {
  return { model: 'haiku', messages: [{ role: 'user', content }], ...more };
}

/** The text of an error of either API. */
export async function errorText(response: Response): Promise<string> {
  const body = (await response.json()) as { error: string | { message: string }; detail?: string };
  return typeof body.error === 'string' ? (body.detail ?? body.error) : body.error.message;
}
