/** Finds the paths in hidden folders that an agent must be able to read: its own command, and the tools on PATH. */
import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, delimiter, dirname, join, sep } from 'node:path';

type Environment = Record<string, string | undefined>;

/**
 * The folders of version managers, which keep their tools outside PATH and find them by `HOME` or by the variable. Each
 * folder is shown with everything in it.
 */
const managers: { folder: string; variable: string }[] = [
  { folder: '.rustup', variable: 'RUSTUP_HOME' },
  { folder: '.pyenv', variable: 'PYENV_ROOT' },
  { folder: '.rbenv', variable: 'RBENV_ROOT' },
  { folder: '.asdf', variable: 'ASDF_DATA_DIR' },
  { folder: '.local/share/mise', variable: 'MISE_DATA_DIR' },
  { folder: '.nvm', variable: 'NVM_DIR' },
  { folder: '.volta', variable: 'VOLTA_HOME' },
  { folder: '.sdkman', variable: 'SDKMAN_DIR' },
];

export type Toolchain = {
  /** Absolute paths that exist. */
  paths: string[];
  /** Variables that lead the tools to their files, because an agent has another `HOME`. */
  variables: Environment;
};

/**
 * Finds what an agent must be able to read in hidden folders.
 * @param command the absolute path of the agent's command
 * @param hidden the folders that an agent does not see
 * @param secret folders that no shown path may contain: homes, and folders of the server
 */
export function findToolchain(command: string, host: Environment, hidden: string[], secret: string[]): Toolchain {
  const found = managers.flatMap(({ folder, variable }) => {
    const path = host[variable] ?? (host['HOME'] && join(host['HOME'], folder));
    return path && isFolder(path) ? [{ path, variable }] : [];
  });
  const onPath = (host['PATH'] ?? '').split(delimiter).filter((folder) => folder.startsWith('/'));
  const paths = [...folderOfCommand(command, hidden), ...onPath.flatMap(partsOf), ...found.map(({ path }) => path)];
  return {
    paths: [...new Set(paths)].filter((path) => isBelow(path, hidden) && !holds(path, secret) && existsSync(path)),
    variables: Object.fromEntries(found.map(({ path, variable }) => [variable, path])),
  };
}

/** Returns whether a path is below any of the folders. */
export function isBelow(path: string, folders: string[]): boolean {
  return folders.some((folder) => path.startsWith(`${folder}${sep}`));
}

/** Returns whether a path is, or contains, any of the folders. Follows links. */
export function holds(path: string, folders: string[]): boolean {
  const real = realOf(path);
  return folders.some((folder) => folder === real || isBelow(folder, [real]));
}

/**
 * Returns what the command needs: the command itself, the file to which it links, and the package or folder that
 * contains this file. Never returns a whole home.
 */
function folderOfCommand(command: string, hidden: string[]): string[] {
  const file = realOf(command);
  const [, packageRoot] = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file) ?? [];
  return [
    command,
    file,
    packageRoot ?? (isBelow(dirname(file), hidden) && !isHome(dirname(file)) ? dirname(file) : file),
  ];
}

/**
 * Returns a folder on PATH and what its programs load: libraries next to the folder, or the packages to which npm
 * links.
 */
function partsOf(folder: string): string[] {
  if (folder.endsWith(join('node_modules', '.bin'))) return [dirname(folder)];
  return [...programsIn(folder), ...linksIn(folder).flatMap(installationOf)];
}

/**
 * Returns the folder. If its name is `bin`, also returns the other folders and files of the same installation, such as
 * `lib`.
 */
function programsIn(folder: string): string[] {
  const beside = ['lib', 'lib64', 'libexec', 'include', 'pyvenv.cfg'].map((name) => join(dirname(folder), name));
  return basename(folder) === 'bin' && !isHome(dirname(folder)) ? [folder, ...beside] : [folder];
}

/** Returns the installation of a program to which a link on PATH leads. */
function installationOf(file: string): string[] {
  return basename(dirname(file)) === 'bin' ? programsIn(dirname(file)) : [file];
}

function linksIn(folder: string): string[] {
  try {
    const links = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isSymbolicLink());
    return links.map((entry) => realOf(join(folder, entry.name)));
  } catch {
    return [];
  }
}

function isHome(folder: string): boolean {
  return folder === '/root' || dirname(folder) === '/home';
}

function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/**
 * Returns whether a path is a folder. Returns `false` if the server may not read it, as another user's folder on PATH:
 * the agent cannot use such a folder either.
 */
function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
