/** Finds the git repository that a folder belongs to. It reads files and runs no git, so no setting takes effect. */
import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';

export type Repository = {
  /** The top of the working tree; of a bare repository, the repository itself. */
  root: string;
  gitDir: string;
  /** Holds refs, objects and settings; in a linked worktree it is not `gitDir`. */
  commonDir: string;
  bare: boolean;
  /** The path from `root` to the folder that was looked up; empty when they are the same. */
  prefix: string;
};

/** `undefined`: the folder is in no repository, or does not exist. */
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

/** The folders in which git looks for objects: `objects` itself, and those from which it borrows. */
export async function objectFolders(objects: string, depth = 5): Promise<string[]> {
  const alternates = await readFile(join(objects, 'info/alternates'), 'utf8').catch(() => '');
  const borrowed = alternates.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  if (depth === 0) return [objects];
  const further = await Promise.all(borrowed.map((path) => objectFolders(resolve(objects, path), depth - 1)));
  return [...new Set([objects, ...further.flat()])];
}

async function gitDirOf(root: string): Promise<string | undefined> {
  const path = join(root, '.git');
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile()) {
    // A linked worktree or a submodule.
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
