/**
 * The gate for paths that come from an agent: from its index, its `.gitmodules` or its files. Such a path may lead out of
 * the working tree, by `..` or by a link in place of a folder. It is read, hashed or moved only if it passes this gate.
 */
import { lstat } from 'node:fs/promises';
import { type BytePath, pathBelow } from '../git/byte-path.ts';

/** Whether each step of the path is a name. Git reads no name that is empty, `.` or `..`. */
export function hasOnlyNames(path: BytePath): boolean {
  return path.split('/').every((name) => name !== '' && name !== '.' && name !== '..' && !name.includes('\0'));
}

/**
 * Returns a function that tells whether a path is inside `folder`: it has only names, and everything above its last name
 * is a folder and not a link. The last name may be a link, or missing. The folders that were looked at are remembered, so
 * the function is for one pass over the files, after the agent has ended.
 */
export function insideOf(folder: string): (path: BytePath) => Promise<boolean> {
  const seen = new Map<BytePath, Promise<boolean>>();
  const isFolder = (path: BytePath): Promise<boolean> => {
    const known = seen.get(path) ?? lookAt(path);
    seen.set(path, known);
    return known;
  };
  const lookAt = async (path: BytePath): Promise<boolean> => {
    if (!(await isParentFolder(path))) return false;
    return (await lstat(pathBelow(folder, path)).catch(() => undefined))?.isDirectory() ?? false;
  };
  const isParentFolder = async (path: BytePath): Promise<boolean> => {
    const end = path.lastIndexOf('/');
    return end < 0 || (await isFolder(path.slice(0, end)));
  };
  return async (path) => hasOnlyNames(path) && (await isParentFolder(path));
}

/** Returns those of the paths that are inside the folder. */
export async function keepInside(folder: string, paths: BytePath[]): Promise<BytePath[]> {
  const isInside = insideOf(folder);
  const kept: BytePath[] = [];
  for (const path of paths) if (await isInside(path)) kept.push(path);
  return kept;
}
