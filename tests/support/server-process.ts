/** The server in its own process, as an operator runs it: for tests of signals, exit statuses and SIGKILL. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hostEnvironment } from '../../src/config/config.ts';
import { listMarked } from '../../src/processes/process-tree.ts';
import { sendSignal } from '../../src/processes/signals.ts';
import { scratchFolder } from './fake-model-agent.ts';
import { testToken } from './service.ts';
import { waitUntil } from './wait-until.ts';

export type ServerProcess = {
  url: string;
  dataDir: string;
  child: ChildProcess;
  /** The output so far. */
  stdout(): string;
  stderr(): string;
  /** Resolves with the exit status, or the name of the signal. */
  exited: Promise<number | string | null>;
  /** The living processes with its marker: those of its agents, and any other. */
  processes(): Promise<number[]>;
  post(path: string, body: unknown): Promise<Response>;
};

const main = fileURLToPath(new URL('../../bin/claude-agent-server.js', import.meta.url));

/** The living processes with the marker of a server. */
export function processesOf(serverPid: number | undefined): Promise<number[]> {
  return listMarked((marker) => marker.split(':')[2] === String(serverPid));
}

/**
 * Starts `claude-agent-server serve` and waits until it listens. It is killed when the test ends.
 * @param wrapper a command that replaces itself with the server, whose command line it gets as arguments
 */
export async function startServerProcess(
  t: TestContext,
  settings: Record<string, string>,
  dataDir?: string,
  wrapper: string[] = [],
): Promise<ServerProcess> {
  const folder = dataDir ?? (await scratchFolder(t));
  const [command = '', ...args] = [...wrapper, process.execPath, main, 'serve'];
  const child = spawn(command, args, {
    env: {
      PATH: hostEnvironment()['PATH'],
      HOME: folder,
      API_BEARER_TOKEN: testToken,
      PORT: '0',
      DATA_DIR: folder,
      LOG_LEVEL: 'silent',
      PREWARMED_AGENTS: '0',
      ...settings,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise<number | string | null>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal));
  });
  const processes = () => processesOf(child.pid);
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
    // The next start of a server would end them, but there is none.
    for (const pid of await processes()) sendSignal(pid, 'SIGKILL');
  });
  let printed = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    printed += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk;
  });
  const url = await waitUntil('the server listens', () => {
    if (child.exitCode !== null) throw new Error(`The server ended: ${errors}`);
    return /listens on ([^\s"]+)/.exec(printed)?.[1];
  });
  return {
    url,
    dataDir: folder,
    child,
    stdout: () => printed,
    stderr: () => errors,
    exited,
    processes,
    post: (path, body) =>
      fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${testToken}` },
        body: JSON.stringify(body),
      }),
  };
}
