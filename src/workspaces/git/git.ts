/**
 * Runs git. All git commands start here, so no command runs a program that the repository configures or asks for a
 * password, and each command has a time limit and an output limit.
 */

import { devNull } from 'node:os';
import { ServiceError } from '../../errors.ts';
import { runCommand, type StopReason } from '../../processes/child-process.ts';
import { redact } from '../../redact.ts';
import { listed } from '../../truncate.ts';
import { type Environment, type GitPlace, inheritedEnvironment, placeEnvironment } from './git-environment.ts';

export type GitOptions = {
  timeoutMs: number;
  signal?: AbortSignal;
  input?: string | Buffer;
  /** The command is ended if it prints more bytes than this on stdout. The default is 16 MiB. */
  maxOutputBytes?: number;
  /** Further settings, each in the form `name=value`. */
  settings?: string[];
  environment?: Environment;
};

/** The limits of a command that only looks something up. */
export const quick: GitOptions = { timeoutMs: 10_000 };

export type GitResult = {
  ok: boolean;
  code: number | null;
  stdout: Buffer;
  /** stdout as text, without white space at its start and end. */
  text: string;
  /** The last part of stderr, as git printed it. It must not be sent to clients. */
  stderr: string;
  /** Why the command failed, in one line without credentials and host paths. Empty if the command succeeded. */
  reason: string;
  stopped?: StopReason;
};

/**
 * Runs git and settles with the result, even if git fails. Rejects with a `ServiceError` if git cannot be started, and
 * with the signal's reason after an abort.
 */
export type Git = (place: GitPlace, args: string[], options: GitOptions) => Promise<GitResult>;

/**
 * These settings take precedence over all others. Most of them are a second safeguard, because git never reads the
 * repository's own settings file.
 */
const overrides = [
  // Turn off commands that a repository could configure.
  `core.hooksPath=${devNull}`,
  'core.fsmonitor=false',
  'core.pager=cat',
  'core.editor=false',
  'sequence.editor=false',
  `core.attributesFile=${devNull}`,
  'commit.gpgSign=false',
  'push.gpgSign=false',
  'log.showSignature=false',
  'merge.verifySignatures=false',
  // Keep git out of submodules, and limit the protocols by which it reaches other repositories.
  'submodule.recurse=false',
  'fetch.recurseSubmodules=false',
  'push.recurseSubmodules=no',
  'protocol.allow=never',
  ...['file', 'git', 'http', 'https', 'ssh'].map((protocol) => `protocol.${protocol}.allow=always`),
  // Git refuses repositories of other users unless it is told that they are safe. The operator chose this repository,
  // and git does not read its settings.
  'safe.directory=*',
  'safe.bareRepository=all',
  // Keep git from starting background programs, asking questions, and changing more than the command needs.
  'gc.auto=0',
  'maintenance.auto=false',
  'credential.interactive=false',
  'rebase.autoStash=false',
  'merge.autoStash=false',
  'rebase.updateRefs=false',
  'rerere.enabled=false',
  'color.ui=false',
  // With several workers, git 2.39 writes files with the attribute `working-tree-encoding` in the wrong encoding.
  'checkout.workers=1',
];

/** How long git may take to remove its lock files before it is killed, in milliseconds. */
const graceMs = 2000;

/** @param host the host's environment variables, which `inheritedEnvironment` filters */
export function createGit(host: Environment): Git {
  const inherited = inheritedEnvironment(host);
  return async (place, args, options) => {
    const settings = [...overrides, ...(options.settings ?? [])].flatMap((setting) => ['-c', setting]);
    const command = ['--no-pager', '--literal-pathspecs', '--no-optional-locks', ...settings, ...args];
    const env = { ...inherited, ...placeEnvironment(place, host), ...options.environment };
    const cwd = place.workTree ?? place.gitDir;
    const result = await runCommand('git', command, { ...options, cwd, env, graceMs, refusesPipes: true }).catch(
      (error: unknown) => {
        throw new ServiceError('workspace_unavailable', 'Cannot prepare the workspace: git could not be started', {
          cause: error,
        });
      },
    );
    if (result.stopped === 'aborted') throw options.signal?.reason;
    const { code, stdout, stderr, stopped } = result;
    const ok = code === 0 && !stopped;
    const reason = ok
      ? ''
      : stopped
        ? stopReasons[stopped](options)
        : errorLine(stderr) || `git ended with status ${code}`;
    return { ok, code, stdout, text: stdout.toString('utf8').trim(), stderr, reason, stopped };
  };
}

/** Returns the output of a command that must succeed. Throws a `GitError` with the reason if it fails. */
export async function mustGit(running: Promise<GitResult>): Promise<string> {
  const result = await running;
  if (!result.ok) throw new GitError(result.reason);
  return result.text;
}

/** The error for a git command that failed. Its `message` is one line that a client may read. */
export class GitError extends Error {}

const stopReasons = {
  timeout: (options: GitOptions) => `git took longer than ${options.timeoutMs / 1000} s`,
  output_too_large: (options: GitOptions) => `git printed more than ${options.maxOutputBytes} bytes`,
  aborted: () => 'the run was cancelled',
  waits_at_pipe: () => 'git would wait for ever at a named pipe in the place of a file',
};

const maxErrorLine = 300;

/** Returns the cause of a failure from git's stderr, as one line that a client may read. */
export function errorLine(stderr: string): string {
  const lines = stderr
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter(Boolean);
  const at = lines.findIndex((line) => /^(fatal|error): /.test(line));
  // The line before git's own summary is the message of ssh or of the remote.
  const cause = /Could not read from remote repository/.test(lines[at] ?? '') ? lines[at - 1] : undefined;
  const line = (cause ?? lines[at] ?? lines.at(-1) ?? '').replace(/^(fatal|error): /, '');
  const whole = line.endsWith(':') ? `${line} ${filesAfter(stderr, line)}` : line;
  return redact(whole, { fileNames: true, maxLength: maxErrorLine });
}

/** Returns the names of the files that git prints on indented lines after `line`. */
function filesAfter(stderr: string, line: string): string {
  const rest = stderr.slice(stderr.indexOf(line)).split('\n').slice(1);
  const end = rest.findIndex((file) => !file.startsWith('\t'));
  const files = rest.slice(0, end < 0 ? rest.length : end).map((file) => file.trim());
  return listed(files, 3);
}
