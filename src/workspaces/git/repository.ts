/**
 * Finds the git repository that a folder belongs to. Reads files and does not run git, so no git setting has an effect.
 */
import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';

export type Repository = {
  /** The top folder of the working tree. For a bare repository, the repository itself. */
  root: string;
  gitDir: string;
  /** The folder that holds refs, objects and settings. It differs from `gitDir` in a linked worktree. */
  commonDir: string;
  bare: boolean;
  /** The path from `root` to the folder that was looked up. Empty if both are the same folder. */
  prefix: string;
};

/** Returns the repository of a folder. Returns `undefined` if the folder is in no repository or does not exist. */
export async function findRepository(folder: string): Promise<Repository | undefined> {
  const start = await realpath(folder).catch(() => undefined);
  if (start === undefined) return undefined;
  if (await isGitDir(start)) return { root: start, gitDir: start, commonDir: start, bare: true, prefix: '' };
  for (let root = start; ; root = dirname(root)) {
    const gitDir = await gitDirOf(root);
    if (gitDir) {
      return { root, gitDir, commonDir: await commonDirOf(gitDir), bare: false, prefix: relative(root, start) };
    }
    if (dirname(root) === root) return undefined;
  }
}

/**
 * Returns the folders in which git looks for objects: `objects` itself, and the folders from which it borrows objects.
 */
export async function objectFolders(objects: string, depth = 5): Promise<string[]> {
  const alternates = await readFile(join(objects, 'info/alternates'), 'utf8').catch(() => '');
  const borrowed = alternates.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  if (depth === 0) return [objects];
  const further = await Promise.all(borrowed.map((path) => objectFolders(resolve(objects, path), depth - 1)));
  return [...new Set([objects, ...further.flat()])];
}

/** Returns the git folder of a working tree. Returns `undefined` if `.git` is missing, or no repository. */
export async function gitDirOf(root: string): Promise<string | undefined> {
  const path = join(root, '.git');
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile()) {
    // In a linked worktree or a submodule, `.git` is a file that names the git folder.
    const target = /^gitdir: (.+?)\s*$/.exec(await readFile(path, 'utf8'))?.[1];
    return target && (await exists(resolve(root, target, 'HEAD'))) ? resolve(root, target) : undefined;
  }
  return (await isGitDir(path)) ? path : undefined;
}

async function commonDirOf(gitDir: string): Promise<string> {
  const target = await readFile(join(gitDir, 'commondir'), 'utf8').catch(() => '.');
  return resolve(gitDir, target.trim());
}

async function isGitDir(path: string): Promise<boolean> {
  const parts = await Promise.all(['HEAD', 'objects', 'refs'].map((name) => exists(join(path, name))));
  return parts.every(Boolean);
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
