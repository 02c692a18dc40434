/** Builds the arguments of `bwrap` for an agent: which files it sees and may write, and which rights it cannot get. */
import { existsSync, lstatSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { isBelow } from './toolchain.ts';

type Environment = Record<string, string | undefined>;

/** Which files an agent sees in its sandbox, and where. */
export type View = {
  /** Real paths of folders that appear empty to the agent. */
  hidden: string[];
  /** Paths that the agent may read, even if they are in hidden folders. */
  readable: string[];
  /** Files and folders of the host that have another path in the sandbox. */
  placed: { from: string; at: string; writable: boolean }[];
  /** The folder in which the agent works and may write. Undefined if it has no workspace. */
  workFolder?: string;
  /** Real paths of the server's own folders. They are hidden even if they are in a folder that is shown. */
  secret: string[];
};

/**
 * The user namespace of an agent. `sealed` is a new namespace, in which the agent cannot make further namespaces.
 * `nested` is a new namespace in which it can, because `bwrap` is older than 0.8. `host` is the namespace of the host,
 * for a kernel that allows no new namespaces; `bwrap` must then be started as root.
 */
export type UserNamespace = 'sealed' | 'nested' | 'host';

const userFlags: Record<UserNamespace, string[]> = {
  sealed: ['--unshare-user', '--disable-userns'],
  nested: ['--unshare-user'],
  host: [],
};

/**
 * The path of an agent's home in its sandbox. Where there is no `/home`, it is below `/tmp`, since each agent has its
 * own `/tmp`.
 */
export const homeInside = isRealFolder('/home') ? '/home/agent' : '/tmp/agent';

/** Folders of the system, which are never hidden: an agent could run nothing without them. */
const system = [
  '/',
  '/bin',
  '/boot',
  '/dev',
  '/etc',
  '/lib',
  '/lib64',
  '/nix',
  '/opt',
  '/proc',
  '/sbin',
  '/srv',
  '/sys',
  '/usr',
  '/var',
];

/**
 * Returns the folders to hide from agents: homes, temporary files, sockets of services, and the folders in `more`.
 * @param more folders of the server and of the workspaces
 */
export function hiddenFolders(host: Environment, more: string[]): string[] {
  const hidden = realFolders(['/home', '/root', '/run', '/tmp', '/var/tmp', ...homesOf(host), ...more]);
  return hidden.filter((path) => !isBelow(path, hidden)).sort();
}

/** Returns the home folders of the server's user: the home of the account, and the value of `HOME`. */
export function homesOf(host: Environment): string[] {
  return realFolders([homedir(), host['HOME'] ?? '']);
}

/** Returns the real paths of the folders that exist. Leaves out the folders of the system. */
export function realFolders(paths: string[]): string[] {
  const real = paths.filter((path) => path.startsWith('/') && existsSync(path)).map((path) => realpathSync(path));
  return [...new Set(real)].filter((path) => !system.includes(path));
}

/**
 * Returns the arguments of `bwrap`. The agent has no capabilities, and can get none because it cannot make user
 * namespaces (except with `nested`). Root may write the kernel's settings in `/proc/sys` even without capabilities, so
 * they are mounted read-only.
 */
export function bubblewrapArguments(view: View, users: UserNamespace): string[] {
  const { hidden, readable, placed, workFolder, secret } = view;
  // The server's folders are hidden first, and the readable paths within these folders are shown again after that.
  const within = readable.filter((path) => isBelow(path, secret));
  const around = readable.filter((path) => !within.includes(path));
  const shown = (path: string) => ['--ro-bind-try', path, path];
  const uncovered = (folders: string[]) =>
    secret.filter((path) => isBelow(path, folders)).flatMap((path) => ['--tmpfs', path]);
  return [
    ...['--die-with-parent', '--new-session'],
    ...userFlags[users],
    ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try', '--cap-drop', 'ALL'],
    ...['--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc'],
    ...kernelSettings.flatMap((path) => ['--ro-bind-try', path, path]),
    ...hidden.flatMap((folder) => ['--tmpfs', folder]),
    ...around.flatMap(shown),
    ...uncovered(around),
    ...within.flatMap(shown),
    ...placed.flatMap(({ from, at, writable }) => [writable ? '--bind' : '--ro-bind-try', from, at]),
    ...(workFolder === undefined ? [] : ['--bind', workFolder, workFolder, ...uncovered([workFolder])]),
    ...['--chdir', workFolder ?? '/'],
  ];
}

const kernelSettings = ['/proc/sys', '/proc/sysrq-trigger', '/proc/fs', '/proc/acpi', '/proc/scsi'];

/** Returns the paths that are in a hidden folder, and so must be shown again. */
export function coveredBy(hidden: string[], paths: string[]): string[] {
  return [...new Set(paths)].filter((path) => isBelow(path, hidden)).sort();
}

function isRealFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
