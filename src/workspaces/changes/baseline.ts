/**
 * The baseline of a run: the state of the folder's files when the run began. The server keeps its index and objects
 * outside the folder, so it finds the run's changes even if the agent has changed or removed the folder's `.git`.
 */
import { copyFile, lstat, mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BytePath } from '../git/byte-path.ts';
import { type Git, mustGit, quick } from '../git/git.ts';
import type { GitPlace } from '../git/git-environment.ts';
import type { Omitted } from './omissions.ts';

export type Baseline = {
  place: GitPlace & { workTree: string; indexFile: string };
  /** The id of the git tree that holds the files as they were when the run began. */
  tree: string;
  /** Whether the settings make git convert the line ends of all files (`core.autocrlf`). */
  convertsAll: boolean;
  /** The commit on which the run began. Undefined if the repository has no commits, or if there is no repository. */
  revision?: string;
  /** The tree of `revision`. Undefined if it is the same as `tree`, or if there is no commit. */
  committedTree?: string;
  /** What the folder contained and the tree does not. Undefined if the folder was made for the run. */
  omittedBefore?: Omitted[];
  /** The nested repositories that were there before the run. Their files are not examined. */
  nestedBefore?: BytePath[];
  /**
   * Whether the folder was made for the run. If so, files in repositories nested inside it are the run's work too, and
   * unreadable files are made readable.
   */
  owned: boolean;
};

/**
 * Makes the object store of a baseline, and names its index.
 * @param folder the folder for the object store and the index; the caller removes it
 * @param place the repository and the working tree
 * @param objects the repository's object folder, which is only read
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
 * Copies a git index together with its modification time. Does nothing if there is no such file. Git compares the
 * content of a file only if the file may be newer than the index. A copy with a later time would hide a change that was
 * made right after the original was written.
 */
export async function copyIndex(from: string, to: string): Promise<void> {
  const original = await lstat(from).catch(() => undefined);
  // An agent may have put a pipe in its place, at which a copy would wait for ever.
  if (!original?.isFile()) return;
  await copyFile(from, to);
  // The time is rounded down, because an earlier time only makes git compare more files.
  const time = new Date(Math.floor(original.mtimeMs));
  await utimes(to, time, time);
}

/** Writes the empty tree and returns its id, which depends on the repository's hash algorithm. */
export async function emptyTree(git: Git, place: GitPlace): Promise<string> {
  return await mustGit(git(place, ['hash-object', '-t', 'tree', '-w', '--stdin'], { ...quick, input: '' }));
}
