/**
 * Runs git. Every git command line is built here, so that no command runs a program that the repository names, none
 * asks for a password, and each has a deadline and a limit on its output.
 */
import { devNull } from 'node:os';
import { ServiceError } from '../../errors.ts';
import { runCommand } from '../../processes/child-process.ts';
import { redact } from '../../redact.ts';
import { type Environment, type GitPlace, inheritedEnvironment, placeEnvironment } from './git-environment.ts';

export type GitOptions = {
  timeoutMs: number;
  signal?: AbortSignal;
  input?: string | Buffer;
  /** More bytes than this on stdout end the command. Default 16 MiB. */
  maxOutputBytes?: number;
  /** Further settings, `name=value`. */
  settings?: string[];
  environment?: Environment;
};

export type GitResult = {
  ok: boolean;
  code: number | null;
  stdout: Buffer;
  /** stdout without the white space around it. */
  text: string;
  /** The last part of stderr, as git printed it: not for clients. */
  stderr: string;
  /** Why the command failed: one line, without credentials and without paths of the host. */
  reason: string;
  stopped?: 'timeout' | 'aborted' | 'output_too_large';
};

/**
 * Settles with the result also when git fails. Rejects with a `ServiceError` when git cannot be started, and with the
 * signal's reason.
 */
export type Git = (place: GitPlace, args: string[], options: GitOptions) => Promise<GitResult>;

/** These win over every other setting. Most are a second guard: the repository's own settings file is never read. */
const overrides = [
  // Commands that a repository could name.
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
  // Other repositories.
  'submodule.recurse=false',
  'fetch.recurseSubmodules=false',
  'push.recurseSubmodules=no',
  'protocol.allow=never',
  ...['file', 'git', 'http', 'https', 'ssh'].map((protocol) => `protocol.${protocol}.allow=always`),
  // The operator chose the repository, and its settings are not read: it may belong to another user.
  'safe.directory=*',
  'safe.bareRepository=all',
  // Programs that run on after the command, and questions.
  'gc.auto=0',
  'maintenance.auto=false',
  'credential.interactive=false',
  'rebase.autoStash=false',
  'merge.autoStash=false',
  'rebase.updateRefs=false',
  'rerere.enabled=false',
  'color.ui=false',
  'checkout.workers=0',
];

/** Git gets this long to remove its locks before it is killed. */
const graceMs = 2000;

/** @param host the environment of the host, see `inheritedEnvironment` */
export function createGit(host: Environment): Git {
  const inherited = inheritedEnvironment(host);
  return async (place, args, options) => {
    const settings = [...overrides, ...(options.settings ?? [])].flatMap((setting) => ['-c', setting]);
    const command = ['--no-pager', '--literal-pathspecs', '--no-optional-locks', ...settings, ...args];
    const env = { ...inherited, ...placeEnvironment(place, host), ...options.environment };
    const cwd = place.workTree ?? place.gitDir;
    const result = await runCommand('git', command, { ...options, cwd, env, graceMs }).catch((error: unknown) => {
      throw new ServiceError('workspace_unavailable', 'Cannot prepare the workspace: git could not be started', {
        cause: error,
      });
    });
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

/** The output of a command that has to succeed. Throws a `GitError` with the reason. */
export async function mustGit(running: Promise<GitResult>): Promise<string> {
  const result = await running;
  if (!result.ok) throw new GitError(result.reason);
  return result.text;
}

/** A git command failed; `message` is one line that a client may read. */
export class GitError extends Error {}

const stopReasons = {
  timeout: (options: GitOptions) => `git took longer than ${options.timeoutMs / 1000} s`,
  output_too_large: (options: GitOptions) => `git printed more than ${options.maxOutputBytes} bytes`,
  aborted: () => 'the run was cancelled',
};

const maxErrorLine = 300;

/** The cause in git's stderr as one line that a client may read. */
export function errorLine(stderr: string): string {
  const lines = stderr
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter(Boolean);
  const at = lines.findIndex((line) => /^(fatal|error): /.test(line));
  // The message of ssh or of the remote stands before git's own summary of it.
  const cause = /Could not read from remote repository/.test(lines[at] ?? '') ? lines[at - 1] : undefined;
  const line = (cause ?? lines[at] ?? lines.at(-1) ?? '').replace(/^(fatal|error): /, '');
  const whole = line.endsWith(':') ? `${line} ${filesAfter(stderr, line)}` : line;
  return redact(whole, { fileNames: true, maxLength: maxErrorLine });
}

/** Git names files on indented lines of their own. */
function filesAfter(stderr: string, line: string): string {
  const rest = stderr.slice(stderr.indexOf(line)).split('\n').slice(1);
  const end = rest.findIndex((file) => !file.startsWith('\t'));
  const files = rest.slice(0, end < 0 ? rest.length : end).map((file) => file.trim());
  return files.length > 3 ? `${files.slice(0, 3).join(', ')} and ${files.length - 3} more` : files.join(', ');
}
