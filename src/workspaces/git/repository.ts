/**
 * Finds the git repository that a folder belongs to. Reads files and does not run git, so no git setting has an effect.
 */
import { constants } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
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
 * Leaves out a folder that holds other things: an agent may have written its path, and whoever may read the result could
 * then read the folder.
 */
export async function objectFolders(objects: string, depth = 5): Promise<string[]> {
  if (depth === 0) return [objects];
  const alternates = (await readSmallFile(join(objects, 'info/alternates'))) ?? '';
  const borrowed = alternates.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const real = await Promise.all(borrowed.map((path) => realpath(resolve(objects, path)).catch(() => undefined)));
  const further: string[] = [];
  for (const folder of real) {
    if (folder !== undefined && (await holdsOnlyObjects(folder)))
      further.push(...(await objectFolders(folder, depth - 1)));
  }
  return [...new Set([objects, ...further])];
}

async function holdsOnlyObjects(folder: string): Promise<boolean> {
  const names = await readdir(folder).catch(() => ['unreadable']);
  return names.every((name) => /^([0-9a-f]{2}|info|pack|tmp_.*|incoming-.*|\.nfs.*)$/.test(name));
}

const smallBytes = 16 * 1024 * 1024;

/**
 * Reads a file that is not a link. Returns undefined if there is no such file, if it is large, or if it is something
 * else: an agent may have put a link or a pipe in its place.
 */
export async function readSmallFile(path: string | Buffer): Promise<string | undefined> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    () => undefined,
  );
  try {
    const stats = await handle?.stat();
    return handle && stats?.isFile() && stats.size <= smallBytes ? await handle.readFile('utf8') : undefined;
  } catch {
    return undefined;
  } finally {
    await handle?.close();
  }
}

/** Returns the git folder of a working tree. Returns `undefined` if `.git` is missing, or no repository. */
export async function gitDirOf(root: string): Promise<string | undefined> {
  const path = join(root, '.git');
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile()) {
    // In a linked worktree or a submodule, `.git` is a file that names the git folder.
    const target = /^gitdir: (.+?)\s*$/.exec((await readSmallFile(path)) ?? '')?.[1];
    return target && (await exists(resolve(root, target, 'HEAD'))) ? resolve(root, target) : undefined;
  }
  return (await isGitDir(path)) ? path : undefined;
}

async function commonDirOf(gitDir: string): Promise<string> {
  const target = (await readSmallFile(join(gitDir, 'commondir'))) ?? '.';
  return resolve(gitDir, target.trim());
}

async function isGitDir(path: string): Promise<boolean> {
  const parts = await Promise.all(['HEAD', 'objects', 'refs'].map((name) => exists(join(path, name))));
  return parts.every(Boolean);
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
