/**
 * Builds the environment of a git command: variables that name its folders, and the host's variables without secrets.
 */
import { basename } from 'node:path';

export type Environment = Record<string, string | undefined>;

/** The folders and files that a git command works on. */
export type GitPlace = {
  gitDir: string;
  /** The folder that holds settings, refs and objects. Undefined if they are in `gitDir`. */
  commonDir?: string;
  workTree?: string;
  indexFile?: string;
  /**
   * The folder to which git writes objects. Git reads objects from it and from the folders in its `info/alternates`.
   */
  objectDir?: string;
  /** The file that git reads as the user's own settings. Undefined if git reads the host's settings. */
  hostSettings?: string;
};

/**
 * Returns the host's variables without the server's secrets and without variables that control git. All others are
 * kept, because the user's credential helpers may need them. The result keeps git from asking for a password.
 */
export function inheritedEnvironment(host: Environment): Environment {
  const withheld = /^(GIT_|API_BEARER_TOKEN$|DATABASE_URL$|ANTHROPIC_|CLAUDE_|SSH_ASKPASS|DISPLAY$|WAYLAND_DISPLAY$)/;
  const kept = Object.entries(host).filter(([name]) => !withheld.test(name) || name.startsWith('GIT_SSL_'));
  return {
    ...Object.fromEntries(kept),
    LC_ALL: 'C.UTF-8',
    GIT_TERMINAL_PROMPT: '0',
    // If this is set to an empty text, git starts no program that asks, even if another setting names such a program.
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
    // If this is undefined, git uses `core.sshCommand`, to which `git-settings.ts` adds the same option.
    GIT_SSH_COMMAND: host['GIT_SSH_COMMAND'] && inBatchMode(host['GIT_SSH_COMMAND']),
  };
}

/** Returns the variables that name a command's folders and settings files. */
export function placeEnvironment(place: GitPlace, host: Environment): Environment {
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

/** Makes OpenSSH fail instead of asking for a password. Does not change the command line of another program. */
export function inBatchMode(sshCommand: string): string {
  const program = basename(sshCommand.trim().split(/\s+/, 1)[0] ?? '');
  return /^ssh(\.exe)?$/.test(program) ? `${sshCommand} -o BatchMode=yes` : sshCommand;
}
