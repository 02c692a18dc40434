/** The published `opencode` command in a home of its own, which knows one provider: the server under test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hostEnvironment } from '../../src/config/config.ts';
import { scratchFolder } from './fake-model-agent.ts';

export type Opencode = {
  /** `opencode run ...`, to its end. */
  run(...args: string[]): Promise<{ exitCode: number | null; stdout: string; stderr: string }>;
  /** The same without waiting for it. It is killed when the test ends. */
  start(...args: string[]): ChildProcess;
  /** Its working folder. */
  folder: string;
};

const command = fileURLToPath(new URL('../../node_modules/.bin/opencode', import.meta.url));

/** @param model the name of the model in its requests */
export async function opencode(
  t: TestContext,
  { baseURL, apiKey }: { baseURL: string; apiKey: string },
  model = 'haiku',
): Promise<Opencode> {
  const home = await scratchFolder(t);
  const folder = join(home, 'work');
  await mkdir(folder);
  const environment = {
    ...environmentIn(home),
    OPENCODE_CONFIG_CONTENT: JSON.stringify(settings(baseURL, apiKey, model)),
  };
  const start = (...args: string[]): ChildProcess => {
    const child = spawn(command, ['run', ...args], {
      cwd: folder,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    t.after(() => child.kill('SIGKILL'));
    return child;
  };
  return { start, folder, run: (...args) => finished(start(...args)) };
}

function settings(baseURL: string, apiKey: string, model: string): object {
  return {
    autoupdate: false,
    share: 'disabled',
    model: `agent/${model}`,
    provider: {
      agent: {
        npm: '@ai-sdk/openai-compatible',
        options: { baseURL, apiKey },
        models: { [model]: { attachment: true, modalities: { input: ['text', 'image'], output: ['text'] } } },
      },
    },
  };
}

/** It reaches only this machine: every other address goes through a proxy that does not exist. */
function environmentIn(home: string): Record<string, string> {
  const nowhere = 'http://127.0.0.1:9';
  return {
    PATH: hostEnvironment()['PATH'] ?? '',
    HOME: home,
    XDG_CONFIG_HOME: join(home, 'config'),
    XDG_DATA_HOME: join(home, 'data'),
    XDG_CACHE_HOME: join(home, 'cache'),
    XDG_STATE_HOME: join(home, 'state'),
    OPENCODE_DISABLE_MODELS_FETCH: '1',
    OPENCODE_DISABLE_AUTOUPDATE: '1',
    OPENCODE_DISABLE_DEFAULT_PLUGINS: '1',
    OPENCODE_DISABLE_LSP_DOWNLOAD: '1',
    HTTP_PROXY: nowhere,
    HTTPS_PROXY: nowhere,
    NO_PROXY: '127.0.0.1',
  };
}

async function finished(child: ChildProcess): Promise<{ exitCode: number | null; stdout: string; stderr: string }> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk;
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { exitCode, stdout, stderr };
}
