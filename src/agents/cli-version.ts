/** Finds the version of the CLI, and checks whether the server can work with it. */
import { readFile, realpath, stat } from 'node:fs/promises';
import { ServiceError } from '../errors.ts';
import { runCommand } from '../processes/child-process.ts';

/**
 * The oldest version that the server can work with. Older versions do not know `CLAUDE_CODE_DISABLE_FILE_MENTIONS`:
 * they replace `@path` in a prompt with the content of the file. Versions up to 2.1.258 also refuse the command line.
 * Measured.
 */
export const minimumVersion = '2.1.299';

export type FoundVersion =
  | { state: 'supported'; version: string }
  | { state: 'too_old'; version: string }
  /**
   * The command is not Claude Code, or it printed no version. `said` is the first line of its output, or the reason why
   * there is no output.
   */
  | { state: 'unknown'; said: string };

const timeoutMs = 10_000;

/**
 * Finds the version of a command. Reads the version of the packaged command from its package.json, without starting the
 * command. Never rejects.
 */
export async function findVersion(
  command: string,
  host: Record<string, string | undefined>,
  signal?: AbortSignal,
): Promise<FoundVersion> {
  const said = (await packagedVersion(command)) ?? (await printedVersion(command, host, signal));
  const [version] = /^\d+\.\d+\.\d+/.exec(said) ?? [];
  if (version === undefined) return { state: 'unknown', said };
  return isAtLeast(version, minimumVersion) ? { state: 'supported', version } : { state: 'too_old', version };
}

/** Returns the error message that tells the operator what to do. */
export function tooOldMessage(version: string): string {
  return `Cannot use claude ${version}: the server needs ${minimumVersion} or newer; run "claude update", or unset CLAUDE_BIN to use the packaged one`;
}

/**
 * Returns a function that throws `agent_not_started` if a command was replaced by one that is too old, while the server
 * runs. It does not check the first command, because the start of the server has checked it.
 */
export function createVersionCheck(host: Record<string, string | undefined>): (command: string) => Promise<void> {
  let latest: { file: string; found?: Promise<FoundVersion> } | undefined;
  return async (command) => {
    const file = await fileOf(command);
    latest ??= { file };
    if (latest.file !== file) latest = { file, found: findVersion(command, host) };
    const found = await latest.found;
    if (found?.state === 'too_old') throw new ServiceError('agent_not_started', tooOldMessage(found.version));
  };
}

/** Returns what changes when the file of a command is replaced. */
async function fileOf(command: string): Promise<string> {
  const path = await realpath(command).catch(() => command);
  const facts = await stat(path).catch(() => undefined);
  return `${path} ${facts?.ino} ${facts?.mtimeMs}`;
}

async function packagedVersion(command: string): Promise<string | undefined> {
  const file = await realpath(command).catch(() => command);
  const [, folder] = /^(.*\/node_modules\/@anthropic-ai\/claude-code)\/bin\/[^/]+$/.exec(file) ?? [];
  const manifest = folder && (await readFile(`${folder}/package.json`, 'utf8').catch(() => undefined));
  return /"version":\s*"([^"]+)"/.exec(manifest ?? '')?.[1];
}

async function printedVersion(
  command: string,
  host: Record<string, string | undefined>,
  signal?: AbortSignal,
): Promise<string> {
  try {
    const env = { PATH: host['PATH'], HOME: host['HOME'], DISABLE_AUTOUPDATER: '1' };
    const { stdout, stderr, stopped, code } = await runCommand(command, ['--version'], {
      cwd: '/',
      env,
      timeoutMs,
      signal,
    });
    if (stopped) return `no answer within ${timeoutMs / 1000} s`;
    return `${stdout}${stderr}`.trim().split('\n')[0] || `exit status ${code}`;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown error';
  }
}

/** Returns whether a version such as `2.1.299` is `floor` or newer. A missing number counts as 0. */
export function isAtLeast(version: string, floor: string): boolean {
  const parts = version.split('.').map(Number);
  const least = floor.split('.').map(Number);
  const at = [0, 1, 2].find((index) => (parts[index] ?? 0) !== (least[index] ?? 0));
  return at === undefined || (parts[at] ?? 0) > (least[at] ?? 0);
}
