/**
 * The baseline of a run: the files of its folder when it began. The index and the objects are the server's own and lie
 * outside the folder, so the run's changes can be found even when the agent has changed or removed the folder's `.git`.
 */
import { copyFile, mkdir, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Git, mustGit } from '../git/git.ts';
import type { GitPlace } from '../git/git-environment.ts';

export type Baseline = {
  place: GitPlace & { workTree: string; indexFile: string };
  /** The id of the tree with which the run's work is compared. */
  tree: string;
  /** The commit on which the run began; none in a repository without commits. */
  revision?: string;
  /**
   * The folder was made for the run. Then the files of repositories inside it are the run's work too, and files that
   * cannot be read are made readable.
   */
  owned: boolean;
};

/**
 * Makes the object store of a baseline, and names its index.
 * @param folder holds both; the caller removes it
 * @param place the repository, and the working tree
 * @param objects the folder with the repository's objects, which are only read
 */
export async function makeBaselinePlace(
  folder: string,
  place: GitPlace & { workTree: string },
  objects: string,
): Promise<Baseline['place']> {
  const objectDir = join(folder, 'objects');
  await mkdir(join(objectDir, 'info'), { recursive: true, mode: 0o700 });
  await writeFile(join(objectDir, 'info/alternates'), `${objects}\n`);
  return { ...place, objectDir, indexFile: join(folder, 'index') };
}

/**
 * Copies an index and its modification time. Git compares the content of a file that may be younger than the index, so a
 * copy with a later time would hide a change that was made right after the original. Without an original it does nothing.
 */
export async function copyIndex(from: string, to: string): Promise<void> {
  const original = await stat(from).catch(() => undefined);
  if (!original) return;
  await copyFile(from, to);
  // Rounded down: an earlier time only makes git compare more files.
  const time = new Date(Math.floor(original.mtimeMs));
  await utimes(to, time, time);
}

/** Writes the empty tree, whose id depends on the repository's hash. */
export async function emptyTree(git: Git, place: GitPlace): Promise<string> {
  return await mustGit(git(place, ['hash-object', '-t', 'tree', '-w', '--stdin'], { timeoutMs: 10_000, input: '' }));
}
