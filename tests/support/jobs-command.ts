/** The command `claude-agent-server jobs` in its own process, as users run it. */
import { spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hostEnvironment } from '../../src/config/config.ts';
import { testToken } from './service.ts';

export type JobsCommand = {
  /** The output so far. */
  stdout(): string;
  stderr(): string;
  interrupt(): void;
  /** Resolves with the exit status when all output has been read. */
  exited: Promise<number | null>;
};

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** @param environment variables of the command besides PATH and the key */
export function startJobsCommand(
  t: TestContext,
  args: string[],
  environment: Record<string, string | undefined> = {},
): JobsCommand {
  const child = spawn(process.execPath, [main, 'jobs', ...args], {
    env: { PATH: hostEnvironment()['PATH'], API_BEARER_TOKEN: testToken, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      printed[name] += text;
    });
  }
  const exited = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  t.after(() => {
    child.kill('SIGKILL');
    return exited;
  });
  return {
    stdout: () => printed.stdout,
    stderr: () => printed.stderr,
    interrupt: () => child.kill('SIGINT'),
    exited,
  };
}

/** Runs it to its end. */
export async function runJobsCommand(t: TestContext, args: string[], environment?: Record<string, string | undefined>) {
  const command = startJobsCommand(t, args, environment);
  const status = await command.exited;
  return { status, stdout: command.stdout(), stderr: command.stderr() };
}
