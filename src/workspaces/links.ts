/**
 * Refuses links that lead out of the workspace, which an agent or the server's git would follow. An upstream commit can
 * turn a folder into a link to any host folder, and an agent can put links into the `.git` of a shared workspace.
 */
import type { Dirent } from 'node:fs';
import { mkdir, readdir, realpath, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { GitError } from './git/git.ts';
import { type Repository, readSmallFile } from './git/repository.ts';
import { unavailable } from './workspaces.ts';

/**
 * Makes the missing folders of `root/prefix`, from the top down. If a folder leads out of `root`, throws
 * `workspace_unavailable` before it makes any folder below that folder.
 */
export async function makeWorkFolder(root: string, prefix: string): Promise<void> {
  const top = await realpath(root);
  let path = root;
  for (const step of prefix.split(sep).filter(Boolean)) {
    path = join(path, step);
    const real = await realpath(path).catch(async (error: NodeJS.ErrnoException) => {
      // For a dangling link `mkdir` fails, so the link's target, which is outside, is not made.
      if (error.code !== 'ENOENT') throw error;
      await mkdir(path, { mode: 0o777 });
      return realpath(path);
    });
    if (!real.startsWith(top + sep)) throw leadsOutside();
    if (isGitFolder(relative(top, real))) throw unavailable('its folder in the repository leads into its .git');
    if (!(await stat(real)).isDirectory()) throw unavailable('its folder in the repository is a file');
  }
}

function isGitFolder(path: string): boolean {
  return path.split(sep)[0]?.toLowerCase() === '.git';
}

/**
 * Throws `workspace_unavailable` if the workspace's repository is not the same as at the server's start: the folder has
 * become a link, or its `.git` leads elsewhere. A workspace that is the top folder of its repository may be moved.
 */
export function checkSameRepository(first: Repository, now: Repository | undefined): void {
  if (first.prefix !== '' && (now?.root !== first.root || now.prefix !== first.prefix)) throw leadsOutside();
  if (!now || gitFoldersOf(first) === gitFoldersOf(now)) return;
  throw unavailable('its .git leads to another folder than at the start of the server');
}

function gitFoldersOf({ root, gitDir, commonDir }: Repository): string {
  return JSON.stringify([relative(root, gitDir), relative(root, commonDir)]);
}

function leadsOutside() {
  return unavailable('its folder in the repository is gone, or a link that leads out of it');
}

/**
 * The folders in which git writes when it moves a branch, and how many levels of each folder are searched.
 */
const writtenFolders = [
  { name: '.', depth: 1 },
  { name: 'refs', depth: 50 },
  { name: 'logs', depth: 50 },
  { name: 'objects', depth: 2 },
  { name: 'info', depth: 1 },
];
const maxEntries = 100_000;

/**
 * Returns the ways that lead out of `.git`: the links and the special files in the folders in which git writes, and the
 * folders from which it borrows objects. Throws a `GitError` if the folders have too many files.
 */
export async function waysOut(gitDir: string): Promise<Set<string>> {
  const found = new Set<string>();
  let left = maxEntries;
  const walk = async (folder: string, depth: number): Promise<void> => {
    const entries: Dirent[] = await readdir(join(gitDir, folder), { withFileTypes: true }).catch(() => []);
    left -= entries.length;
    if (left < 0) throw new GitError(`its .git has more than ${maxEntries} files besides its objects`);
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (depth > 1) await walk(path, depth - 1);
      } else if (!entry.isFile()) found.add(path);
    }
  };
  for (const { name, depth } of writtenFolders) await walk(name, depth);
  const alternates = (await readSmallFile(join(gitDir, 'objects/info/alternates'))) ?? '';
  for (const line of alternates.split('\n').filter(Boolean)) found.add(`objects/info/alternates: ${line}`);
  return found;
}

/**
 * Throws a `GitError` if there is a way out of `.git` that is not in `known`. Git would write through a link, wait at a
 * pipe, and read the objects of other repositories.
 * @param known the ways at the server's start; the operator made them
 * @param part whether all of `.git` is searched, or only what a git command reads that uses none of its refs
 */
export async function refuseNewWaysOut(
  gitDir: string,
  known: Set<string>,
  part: 'all' | 'objects' = 'all',
): Promise<void> {
  for (const way of await waysOut(gitDir)) {
    if (part === 'objects' && !/^objects(\/|$)/.test(way)) continue;
    if (!known.has(way)) throw new GitError(`an agent has put a way out into its .git: ${way}`);
  }
}
