/**
 * Runs git. Every git command line is built here, so that nothing a repository brings along is executed by it, nothing
 * asks for a password, and each command has a deadline and a bound on what it prints.
 */
import { devNull } from 'node:os';
import { basename } from 'node:path';
import { ServiceError } from '../../errors.ts';
import { runCommand } from '../../processes/child-process.ts';
import { oneLine } from './one-line.ts';

export type Environment = Record<string, string | undefined>;

/** What a command works on. */
export type GitPlace = {
  gitDir: string;
  /** Where settings, refs and objects are, when not in `gitDir`. */
  commonDir?: string;
  workTree?: string;
  indexFile?: string;
  /** Objects are written here, and read from here and what its `info/alternates` names. */
  objectDir?: string;
  /** The file that git takes for the user's own settings; without it, git reads those of the host. */
  hostSettings?: string;
};

export type GitOptions = {
  timeoutMs: number;
  signal?: AbortSignal;
  input?: string | Buffer;
  /** More than this on stdout ends the command. Default 16 MiB. */
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
  /** Its last part, as git printed it: not for clients. */
  stderr: string;
  /** Why it failed: one line, without credentials and paths of the host. */
  reason: string;
  stopped?: 'timeout' | 'aborted' | 'output_too_large';
};

/** Settles with the result also when git fails; rejects with a `ServiceError` when git cannot be started at all. */
export type Git = (place: GitPlace, args: string[], options: GitOptions) => Promise<GitResult>;

/** Over every other setting. Most cannot be set by a repository anyway, whose own settings file is never read. */
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
  // The operator has named the repository; whose files they are does not matter when its settings are not read.
  'safe.directory=*',
  'safe.bareRepository=all',
  // Nothing that runs on after the command, or that asks.
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

/** @param environment of the host; git and the user's own helpers get it without what is secret or steers git */
export function createGit(environment: Environment): Git {
  const inherited = inheritedEnvironment(environment);
  return async (place, args, options) => {
    const settings = [...overrides, ...(options.settings ?? [])].flatMap((setting) => ['-c', setting]);
    const command = ['--no-pager', '--literal-pathspecs', '--no-optional-locks', ...settings, ...args];
    const env = { ...inherited, ...placeEnvironment(place, environment), ...options.environment };
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
        : oneLine(stderr) || `git ended with status ${code}`;
    return { ok, code, stdout, text: stdout.toString('utf8').trim(), stderr, reason, stopped };
  };
}

/** The output of a command that has to succeed. Throws an Error with the reason. */
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
  aborted: () => 'the run was given up',
};

function placeEnvironment(place: GitPlace, host: Environment): Environment {
  const settings = place.hostSettings
    ? { GIT_CONFIG_GLOBAL: place.hostSettings, GIT_CONFIG_NOSYSTEM: '1' }
    : Object.fromEntries(Object.entries(host).filter(([name]) => name.startsWith('GIT_CONFIG')));
  return {
    GIT_DIR: place.gitDir,
    GIT_COMMON_DIR: place.commonDir,
    GIT_WORK_TREE: place.workTree,
    GIT_INDEX_FILE: place.indexFile,
    GIT_OBJECT_DIRECTORY: place.objectDir,
    ...settings,
  };
}

/** Everything but our own secrets and what steers git; the user's credential helpers may need any of the rest. */
function inheritedEnvironment(host: Environment): Environment {
  const withheld = /^(GIT_|API_BEARER_TOKEN$|DATABASE_URL$|ANTHROPIC_|CLAUDE_|SSH_ASKPASS|DISPLAY$|WAYLAND_DISPLAY$)/;
  const kept = Object.entries(host).filter(([name]) => !withheld.test(name) || name.startsWith('GIT_SSL_'));
  return {
    ...Object.fromEntries(kept),
    LC_ALL: 'C.UTF-8',
    GIT_TERMINAL_PROMPT: '0',
    // Set but empty: git then asks no program at all, whatever other setting names one.
    GIT_ASKPASS: '',
    SSH_ASKPASS: '',
    SSH_ASKPASS_REQUIRE: 'never',
    GCM_INTERACTIVE: 'never',
    GIT_ALLOW_PROTOCOL: 'file:git:http:https:ssh',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_EDITOR: 'false',
    GIT_SEQUENCE_EDITOR: 'false',
    GIT_PAGER: 'cat',
    GIT_SSH: host['GIT_SSH'],
    GIT_SSH_COMMAND: batchSsh(host),
  };
}

/** `undefined` leaves the choice to `core.sshCommand`, which `git-settings.ts` treats the same way. */
function batchSsh(host: Environment): string | undefined {
  if (host['GIT_SSH_COMMAND']) return neverAsking(host['GIT_SSH_COMMAND']);
  return undefined;
}

/** An OpenSSH command line that fails where it would ask; another program's is left alone. */
export function neverAsking(sshCommand: string): string {
  const program = basename(sshCommand.trim().split(/\s+/, 1)[0] ?? '');
  return /^ssh(\.exe)?$/.test(program) ? `${sshCommand} -o BatchMode=yes` : sshCommand;
}
