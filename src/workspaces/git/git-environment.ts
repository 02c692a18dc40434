/** The environment variables of a git command: the folders it works on, and the host's variables without secrets. */
import { basename } from 'node:path';

export type Environment = Record<string, string | undefined>;

/** The folders and files that a git command works on. */
export type GitPlace = {
  gitDir: string;
  /** Holds settings, refs and objects, when they are not in `gitDir`. */
  commonDir?: string;
  workTree?: string;
  indexFile?: string;
  /** Objects are written here, and read from here and from the folders in its `info/alternates`. */
  objectDir?: string;
  /** The file that git takes for the user's own settings; without it, git reads those of the host. */
  hostSettings?: string;
};

/**
 * The host's variables, but for the server's secrets and for variables that steer git: the user's own credential helpers
 * may need any other. Nothing asks for a password.
 */
export function inheritedEnvironment(host: Environment): Environment {
  const withheld = /^(GIT_|API_BEARER_TOKEN$|DATABASE_URL$|ANTHROPIC_|CLAUDE_|SSH_ASKPASS|DISPLAY$|WAYLAND_DISPLAY$)/;
  const kept = Object.entries(host).filter(([name]) => !withheld.test(name) || name.startsWith('GIT_SSL_'));
  return {
    ...Object.fromEntries(kept),
    LC_ALL: 'C.UTF-8',
    GIT_TERMINAL_PROMPT: '0',
    // Set but empty: git then starts no program to ask, even if another setting names one.
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
    // Undefined leaves the choice to `core.sshCommand`, to which `git-settings.ts` adds the same option.
    GIT_SSH_COMMAND: host['GIT_SSH_COMMAND'] && inBatchMode(host['GIT_SSH_COMMAND']),
  };
}

/** The variables that name the folders of a command. */
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

/** Makes OpenSSH fail instead of asking. The command line of another program is not changed. */
export function inBatchMode(sshCommand: string): string {
  const program = basename(sshCommand.trim().split(/\s+/, 1)[0] ?? '');
  return /^ssh(\.exe)?$/.test(program) ? `${sshCommand} -o BatchMode=yes` : sshCommand;
}
