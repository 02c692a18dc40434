/** The arguments of `bwrap` for an agent: what it sees, what it may write, and what it cannot become. */
import { existsSync, lstatSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { isBelow } from './toolchain.ts';

type Environment = Record<string, string | undefined>;

export type View = {
  /** Real paths that an agent does not see; each is an empty folder to it. */
  hidden: string[];
  /** Shown to read only, also below what is hidden. */
  readable: string[];
  /** Placed elsewhere than on the host. */
  placed: { from: string; at: string; writable: boolean }[];
  /** The folder that the agent works in; it may write there. */
  workFolder?: string;
  /** Real paths of what the server keeps: hidden also where one of the above would show them. */
  secret: string[];
};

/**
 * `sealed`: one of its own, and no further ones. `nested`: further ones are possible, because `bwrap` is older than 0.8.
 * `host`: that of the host, where the kernel lets nobody make one; `bwrap` then has the rights of root to begin with.
 */
export type UserNamespace = 'sealed' | 'nested' | 'host';

const userFlags: Record<UserNamespace, string[]> = {
  sealed: ['--unshare-user', '--disable-userns'],
  nested: ['--unshare-user'],
  host: [],
};

/** Where every agent finds its home. A minimal system may have no `/home`; `/tmp` is always an agent's own. */
export const homeInside = isRealFolder('/home') ? '/home/agent' : '/tmp/agent';

/** Of the machine's own: covering one of these would leave nothing to run. */
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
 * Homes, temporary files, sockets of services, and what the server keeps for others.
 * @param more folders of the server and of the workspace
 */
export function hiddenFolders(host: Environment, more: string[]): string[] {
  const hidden = realFolders(['/home', '/root', '/run', '/tmp', '/var/tmp', ...homesOf(host), ...more]);
  return hidden.filter((path) => !isBelow(path, hidden)).sort();
}

/** Homes of the server's user: the one of the account and the one in the environment. */
export function homesOf(host: Environment): string[] {
  return realFolders([homedir(), host['HOME'] ?? '']);
}

/** Those that exist and are no part of the system, by their real paths. */
export function realFolders(paths: string[]): string[] {
  const real = paths.filter((path) => path.startsWith('/') && existsSync(path)).map((path) => realpathSync(path));
  return [...new Set(real)].filter((path) => !system.includes(path));
}

/**
 * No capability is left, and none can be had again: there are no further user namespaces, as root or not. Root of the
 * host is still the owner of the kernel's settings in `/proc/sys`, so these are covered.
 */
export function bubblewrapArguments(view: View, users: UserNamespace): string[] {
  const { hidden, readable, placed, workFolder, secret } = view;
  // A run's own part of what the server keeps is shown after the rest of it was hidden.
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

/** The paths that lie in a hidden folder, so that they must be shown again. */
export function coveredBy(hidden: string[], paths: string[]): string[] {
  return [...new Set(paths)].filter((path) => isBelow(path, hidden)).sort();
}

function isRealFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
