/**
 * Keeps git from waiting in repositories inside a working tree. Git opens their HEAD, refs and objects to see what they
 * are, and waits for ever at a pipe. Their files may lead to pipes elsewhere, by links and by names of folders.
 */
import { lstat, realpath, stat, unlink } from 'node:fs/promises';
import { runCommand } from '../../processes/child-process.ts';
import { type BytePath, partsOf, pathBelow, shownPath } from '../git/byte-path.ts';
import { GitError } from '../git/git.ts';
import { readSmallFile } from '../git/repository.ts';

/** A pipe or a device. Git does not wait at a socket. */
const waitsAt = ['(', '-type', 'p', '-o', '-type', 'b', '-o', '-type', 'c', ')'];
const options = { env: { PATH: '/usr/bin:/bin' }, timeoutMs: 60_000, maxOutputBytes: 64 * 1024 * 1024 };

/**
 * Removes what git would wait at, and what leads out of the working tree, from the repositories inside it. Never follows
 * a link.
 * @param nested the `.git` of each repository
 * @returns the pipes and devices that were removed
 */
export async function disarmNested(workTree: string, nested: BytePath[]): Promise<BytePath[]> {
  const top = await realpath(workTree, { encoding: 'buffer' });
  /** Whether a path leads into a `.git` folder in the working tree. All of these are searched. */
  const staysInside = async (path: Buffer): Promise<boolean> => {
    const real = await realpath(path, { encoding: 'buffer' }).catch(() => undefined);
    const below = real?.toString('latin1').startsWith(`${top.toString('latin1')}/`);
    return below === true && /\/\.git(\/|$)/.test(`${real?.subarray(top.length).toString('latin1')}`);
  };
  const removed: BytePath[] = [];
  const inGit = ['.', '-path', '*/.git/*', '(', ...waitsAt, '-o', '-type', 'l', ')', '-print0'];
  const { stdout } = await runCommand('find', inGit, { ...options, cwd: workTree });
  for (const path of partsOf(stdout).map((each) => each.replace(/^\.\//, ''))) {
    const found = pathBelow(workTree, path);
    const isLink = (await lstat(found)).isSymbolicLink();
    if (isLink && ((await staysInside(found)) || (await isDangling(found)))) continue;
    await unlink(found);
    if (!isLink) removed.push(path);
  }
  for (const path of nested) {
    const own = pathBelow(workTree, path);
    const isFolder = (await lstat(own).catch(() => undefined))?.isDirectory();
    const named = isFolder ? await namedFolder(own, 'commondir') : ((await namedFolder(own)) ?? own);
    if (named !== undefined && !(await staysInside(named))) await unlink(isFolder ? pathOf(own, 'commondir') : own);
  }
  return removed;
}

/** Throws a `GitError` if git would wait in a repository inside a working tree. Removes nothing. */
export async function refuseWaiting(workTree: string, nested: BytePath[]): Promise<void> {
  for (const path of nested) {
    const own = pathBelow(workTree, path);
    const gitDir = (await namedFolder(own)) ?? own;
    for (const folder of [gitDir, await namedFolder(gitDir, 'commondir')]) {
      if (folder !== undefined) await refuseWaitingIn(folder, shownPath(path));
    }
  }
}

async function refuseWaitingIn(folder: Buffer, shown: string): Promise<void> {
  if (!(await stat(folder).catch(() => undefined))?.isDirectory()) return;
  const found = ['.', '(', ...waitsAt, '-o', '-type', 'l', ')', '-print0'];
  const { stdout } = await runCommand('find', found, { ...options, cwd: folder.toString() });
  for (const path of partsOf(stdout)) {
    const stats = await stat(pathOf(folder, path)).catch(() => undefined);
    if (!stats || stats.isFile() || stats.isDirectory() || stats.isSocket()) continue;
    throw new GitError(`git would wait for ever at ${shown}${path.slice(1)}, which is not a file`);
  }
}

/**
 * Returns the folder that a file names, as `.git` and `commondir` do. Returns undefined if there is no such file.
 * @param name a file in `path`. Undefined if `path` is the file
 */
async function namedFolder(path: Buffer, name?: string): Promise<Buffer | undefined> {
  const text = await readSmallFile(name === undefined ? path : pathOf(path, name));
  const target = text?.replace(/^gitdir: /, '').trimEnd();
  if (target === undefined) return undefined;
  const folder = name === undefined ? path.subarray(0, path.lastIndexOf('/')) : path;
  return target.startsWith('/') ? Buffer.from(target) : pathOf(folder, Buffer.from(target).toString('latin1'));
}

function pathOf(folder: Buffer, path: BytePath): Buffer {
  return Buffer.concat([folder, Buffer.from('/'), Buffer.from(path, 'latin1')]);
}

async function isDangling(link: Buffer): Promise<boolean> {
  return stat(link).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );
}
