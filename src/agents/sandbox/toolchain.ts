/** Which paths in hidden folders an agent must be able to read: its own command and the tools on PATH. */
import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, delimiter, dirname, join, sep } from 'node:path';

type Environment = Record<string, string | undefined>;

/**
 * Version managers keep their tools outside PATH, and find them by `HOME` or by a variable of their own. Their folders are
 * shown whole.
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
  /** Absolute, existing. */
  paths: string[];
  /** Variables by which the tools find them from another home. */
  variables: Environment;
};

/**
 * @param command the absolute path of the agent's command
 * @param hidden the folders that an agent does not see
 * @param secret folders in them that no shown path may contain: homes, and folders of the server
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

/** Whether a path is below one of the folders. */
export function isBelow(path: string, folders: string[]): boolean {
  return folders.some((folder) => path.startsWith(`${folder}${sep}`));
}

/** Whether a path is one of the folders or contains one. Links are followed. */
export function holds(path: string, folders: string[]): boolean {
  const real = realOf(path);
  return folders.some((folder) => folder === real || isBelow(folder, [real]));
}

/** A command may be a link, and needs the files beside its target. A whole home is never shown for that. */
function folderOfCommand(command: string, hidden: string[]): string[] {
  const file = realOf(command);
  const [, packageRoot] = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file) ?? [];
  return [
    command,
    file,
    packageRoot ?? (isBelow(dirname(file), hidden) && !isHome(dirname(file)) ? dirname(file) : file),
  ];
}

/** A folder on PATH and what its programs load: the libraries beside it, or the packages of npm's links. */
function partsOf(folder: string): string[] {
  if (folder.endsWith(join('node_modules', '.bin'))) return [dirname(folder)];
  return [...programsIn(folder), ...linksIn(folder).flatMap(installationOf)];
}

/** The folder, and beside a `bin` the other folders of an installation. No other files beside it are shown. */
function programsIn(folder: string): string[] {
  const beside = ['lib', 'lib64', 'libexec', 'include', 'pyvenv.cfg'].map((name) => join(dirname(folder), name));
  return basename(folder) === 'bin' && !isHome(dirname(folder)) ? [folder, ...beside] : [folder];
}

/** A link may lead to a program that was installed elsewhere. */
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

/** A folder that the server may not read, as one of another user on PATH, is of no use to the agent either. */
function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
