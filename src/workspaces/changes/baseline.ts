/**
 * What a folder looked like when its run began, kept outside the folder: an index and an object store of the server's
 * own, so that what the run did is told by comparing, whatever the agent has done to the folder's own `.git`.
 */
import { copyFile, mkdir, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GitPlace } from '../git/git.ts';

export type Baseline = {
  place: GitPlace & { workTree: string; indexFile: string };
  /** The tree, or the commit, that the run's work is compared with. */
  tree: string;
  /** The commit that the run began from; none in a repository without commits. */
  revision?: string;
  /**
   * The folder was made for the run. Then a repository inside it is the run's work, file by file, and what cannot be
   * read may be made readable.
   */
  owned: boolean;
};

/**
 * @param folder where to keep it, removed by the caller
 * @param place the repository, and the working tree
 * @param objects of the repository, lent for reading
 */
export async function makePlace(
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
 * Copies an index with its time: git compares a file's content when the file may be younger than the index, and a copy
 * with a time of its own would hide a change made right after the original. Without an original nothing is done.
 */
export async function copyIndex(from: string, to: string): Promise<void> {
  const original = await stat(from).catch(() => undefined);
  if (!original) return;
  await copyFile(from, to);
  // Rounded down: too early only means that git looks once more.
  const time = new Date(Math.floor(original.mtimeMs));
  await utimes(to, time, time);
}
