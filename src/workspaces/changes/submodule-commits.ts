/**
 * Finds the commits of the submodules in a worktree. Git would follow what an agent has written, such as a `.git` that
 * names another repository, or a ref that is a link, and would show the commit of a repository outside of the worktree.
 */
import { lstat } from 'node:fs/promises';
import { posix } from 'node:path';
import { type BytePath, pathBelow } from '../git/byte-path.ts';
import type { Git } from '../git/git.ts';
import { readSmallFile } from '../git/repository.ts';
import { insideOf } from './inside.ts';
import type { IndexPlace } from './listings.ts';
import { addEntries, type Entry } from './store-files.ts';

/** Stores the commits of submodules in an index. A submodule without a commit in the worktree is left as it is. */
export async function storeCommits(git: Git, place: IndexPlace, submodules: BytePath[]): Promise<void> {
  const entries: Entry[] = [];
  for (const path of submodules) {
    const oid = await commitOfSubmodule(place.workTree, path);
    if (oid) entries.push({ mode: '160000', oid, path });
  }
  await addEntries(git, place, entries);
}

/**
 * Returns the id of the commit that is checked out in a submodule. Returns undefined if there is none, or if a file that
 * names it is not inside the working tree.
 */
export async function commitOfSubmodule(workTree: string, submodule: BytePath): Promise<string | undefined> {
  const isInside = insideOf(workTree);
  const read = async (path: BytePath): Promise<string | undefined> => {
    const text = (await isInside(path)) ? await readSmallFile(pathBelow(workTree, path)) : undefined;
    return text === undefined ? undefined : Buffer.from(text).toString('latin1');
  };
  const own = `${submodule}/.git`;
  const isFolder =
    (await isInside(own)) && (await lstat(pathBelow(workTree, own)).catch(() => undefined))?.isDirectory();
  const target = isFolder ? own : /^gitdir: (.+?)\s*$/.exec((await read(own)) ?? '')?.[1];
  if (target === undefined) return undefined;
  const top = Buffer.from(workTree).toString('latin1');
  const gitDir = isFolder ? own : posix.relative(top, posix.resolve(top, submodule, target));
  // The refs of a linked worktree are in another folder.
  const hasOthers = await lstat(pathBelow(workTree, `${gitDir}/commondir`)).catch(() => undefined);
  return hasOthers ? undefined : resolveRef(read, gitDir, 'HEAD');
}

/** @param depth how many symbolic refs may follow each other */
async function resolveRef(
  read: (path: BytePath) => Promise<string | undefined>,
  gitDir: BytePath,
  name: string,
  depth = 5,
): Promise<string | undefined> {
  const text = (await read(`${gitDir}/${name}`))?.trim();
  if (text === undefined) {
    const packed = (await read(`${gitDir}/packed-refs`))?.split('\n').find((line) => line.endsWith(` ${name}`));
    return commitIn(packed?.split(' ')[0]);
  }
  const next = /^ref: *(refs\/\S+)$/.exec(text)?.[1];
  return next && depth > 0 ? resolveRef(read, gitDir, next, depth - 1) : commitIn(text);
}

function commitIn(text: string | undefined): string | undefined {
  return /^([0-9a-f]{40}|[0-9a-f]{64})$/.exec(text ?? '')?.[0];
}
