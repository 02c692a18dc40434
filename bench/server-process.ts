/** The server under load, in a process of its own, started as `npm start` does. */
import { openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Environment } from '../src/config/config.ts';
import { end, printed, start } from './child.ts';
import { until } from './measure.ts';

export type ServerProcess = {
  url: string;
  pid: number;
  /** From its start to the first 200 of `GET /health`. */
  readyMs: number;
  /** How the agent of a run was found, from the server's log: `new`, `prewarmed`, `reset` or `continued`. */
  startOf(runId: string): Promise<string>;
  stop(): Promise<void>;
};

export type ServerOptions = {
  /** For the data and the log; empty. */
  folder: string;
  environment: Environment;
  settings: Record<string, string>;
  nodeFlags: string[];
};

export const token = 'benchmark';

const main = fileURLToPath(new URL('../bin/claude-agent-server.js', import.meta.url));

/** Throws with the end of its log when it does not come up. */
export async function startServer({ folder, environment, settings, nodeFlags }: ServerOptions): Promise<ServerProcess> {
  const logFile = join(folder, 'log');
  const log = openSync(logFile, 'a+');
  const began = performance.now();
  const child = start(process.execPath, [...nodeFlags, main, 'serve'], {
    env: { ...environment, API_BEARER_TOKEN: token, PORT: '0', DATA_DIR: join(folder, 'data'), ...settings },
    stdio: ['ignore', 'pipe', log],
  });
  const url = await printed(child, / listens on (http:[^\s"]+)/).catch((error: Error) => {
    throw new Error(`${error.message}\n${readFileSync(logFile, 'utf8').slice(-2000)}`);
  });
  await until('the server is healthy', async () => (await fetch(`${url}/health`)).ok, 5000);
  const readyMs = performance.now() - began;
  const starts = new StartsInLog(log);
  return { url, pid: child.pid, readyMs, startOf: (runId) => starts.of(runId), stop: () => end(child) };
}

/** Reads the log as it grows. */
class StartsInLog {
  readonly #file: number;
  readonly #starts = new Map<string, string>();
  #position = 0;
  #rest = '';

  constructor(file: number) {
    this.#file = file;
  }

  async of(runId: string): Promise<string> {
    await until(`the log has the run ${runId}`, () => this.#starts.has(runId) || this.#read().has(runId), 2000);
    return this.#starts.get(runId) ?? '';
  }

  #read(): Map<string, string> {
    const buffer = Buffer.alloc(1 << 20);
    const size = readSync(this.#file, buffer, 0, buffer.length, this.#position);
    this.#position += size;
    const lines = (this.#rest + buffer.toString('utf8', 0, size)).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!line.includes('"start":')) continue;
      const { run, start: how } = JSON.parse(line) as { run: string; start: string };
      this.#starts.set(run, how);
    }
    return this.#starts;
  }
}
