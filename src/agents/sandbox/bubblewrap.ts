/** The arguments of `bwrap` for an agent: which files it sees and may write, and which rights it cannot get. */
import { existsSync, lstatSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { isBelow } from './toolchain.ts';

type Environment = Record<string, string | undefined>;

export type View = {
  /** Real paths of folders that are empty for the agent. */
  hidden: string[];
  /** Paths that the agent may read, also below hidden folders. */
  readable: string[];
  /** Files and folders that the agent finds at another path than on the host. */
  placed: { from: string; at: string; writable: boolean }[];
  /** The folder that the agent works in, and may write in. */
  workFolder?: string;
  /** Real paths of the server's own folders: hidden also below a path that is shown. */
  secret: string[];
};

/**
 * The user namespace of an agent. `sealed`: its own, and it can make no further ones. `nested`: its own, and it can make
 * further ones, because `bwrap` is older than 0.8. `host`: that of the host, where the kernel allows no new ones; `bwrap`
 * must then be started as root.
 */
export type UserNamespace = 'sealed' | 'nested' | 'host';

const userFlags: Record<UserNamespace, string[]> = {
  sealed: ['--unshare-user', '--disable-userns'],
  nested: ['--unshare-user'],
  host: [],
};

/** The home of every agent in a sandbox. A minimal system may have no `/home`; each agent has its own `/tmp`. */
export const homeInside = isRealFolder('/home') ? '/home/agent' : '/tmp/agent';

/** Folders of the system. An agent could run nothing if one of them were hidden. */
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
 * The folders to hide: homes, temporary files, sockets of services, and those of the server.
 * @param more folders of the server and of the workspace
 */
export function hiddenFolders(host: Environment, more: string[]): string[] {
  const hidden = realFolders(['/home', '/root', '/run', '/tmp', '/var/tmp', ...homesOf(host), ...more]);
  return hidden.filter((path) => !isBelow(path, hidden)).sort();
}

/** The homes of the server's user: that of the account and that of the environment. */
export function homesOf(host: Environment): string[] {
  return realFolders([homedir(), host['HOME'] ?? '']);
}

/** The real paths of the folders that exist and are not part of the system. */
export function realFolders(paths: string[]): string[] {
  const real = paths.filter((path) => path.startsWith('/') && existsSync(path)).map((path) => realpathSync(path));
  return [...new Set(real)].filter((path) => !system.includes(path));
}

/**
 * The agent has no capability and can get none, because it cannot make user namespaces, as root or not. Root owns the
 * kernel's settings in `/proc/sys` also without capabilities, so these are mounted read-only.
 */
export function bubblewrapArguments(view: View, users: UserNamespace): string[] {
  const { hidden, readable, placed, workFolder, secret } = view;
  // The run's own part of the server's folders is shown after these have been hidden.
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

/** The paths in a hidden folder, which must be shown again. */
export function coveredBy(hidden: string[], paths: string[]): string[] {
  return [...new Set(paths)].filter((path) => isBelow(path, hidden)).sort();
}

function isRealFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
