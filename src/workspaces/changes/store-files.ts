/**
 * Stores files in an index and in the object store. A file that git cannot store does not keep the others from being
 * stored.
 */
import { lstat } from 'node:fs/promises';
import { type BytePath, pathBelow, quotedPath } from '../git/byte-path.ts';
import { type Git, type GitResult, mustGit } from '../git/git.ts';
import { type IndexPlace, listLimits } from './listings.ts';
import { type Omitted, omission } from './omissions.ts';

/** Files over this size in bytes are not stored. Git would need as much memory and minutes for each. */
export const maxFileBytes = 256 * 1024 * 1024;

/** Removes paths from the index. */
export async function removeFromIndex(git: Git, place: IndexPlace, paths: BytePath[]): Promise<void> {
  if (paths.length > 0) await mustGit(updateIndex(git, place, ['--force-remove', '--stdin'], paths));
}

/** Stores the files as they are in the working tree. Returns those that could not be stored, with the reason. */
export async function storeFiles(git: Git, place: IndexPlace, paths: BytePath[]): Promise<Omitted[]> {
  const omissions: Omitted[] = [];
  const storable: BytePath[] = [];
  for (const path of paths) {
    const stats = await lstat(pathBelow(place.workTree, path)).catch(() => undefined);
    if (stats?.isFile() && stats.size > maxFileBytes) omissions.push(omission(path, 'too_large'));
    else if (stats) storable.push(path);
  }
  return [...omissions, ...(await storeAll(git, place, storable))];
}

/** Halves the list until the files that git refuses are alone, because git stores either all files or none. */
async function storeAll(git: Git, place: IndexPlace, paths: BytePath[]): Promise<Omitted[]> {
  if (paths.length === 0) return [];
  const stored = await updateIndex(git, place, ['--add', '--replace', '--stdin'], paths);
  if (stored.ok && !hasRefusedName(stored)) return [];
  const [only = ''] = paths;
  if (paths.length === 1) return storeUnconverted(git, place, only);
  const half = Math.ceil(paths.length / 2);
  const first = await storeAll(git, place, paths.slice(0, half));
  return [...first, ...(await storeAll(git, place, paths.slice(half)))];
}

/** Stores a file that git could not convert as its attributes say, such as a text that is not in its own encoding. */
async function storeUnconverted(git: Git, place: IndexPlace, path: BytePath): Promise<Omitted[]> {
  const stats = await lstat(pathBelow(place.workTree, path)).catch(() => undefined);
  if (!stats?.isFile()) return [omission(path, stats?.isDirectory() ? 'submodule' : 'refused_name')];
  const hashed = await hashFiles(git, place, [path]);
  if (!hashed) return [omission(path, 'unreadable')];
  const mode = stats.mode & 0o100 ? '100755' : '100644';
  const stored = await addEntries(git, place, [{ mode, oid: hashed[0] ?? '', path }]);
  return stored ? [] : [omission(path, 'refused_name')];
}

/** Writes the bytes of files as blobs, without conversions. Returns undefined if a file cannot be read. */
export async function hashFiles(git: Git, place: IndexPlace, paths: BytePath[]): Promise<string[] | undefined> {
  const input = paths.map((path) => `${quotedPath(path)}\n`).join('');
  const hashed = await git(place, ['hash-object', '-w', '--no-filters', '--stdin-paths'], { ...listLimits, input });
  return hashed.ok ? hashed.text.split('\n') : undefined;
}

/** An entry of an index. With the mode `0`, the path is removed. */
export type Entry = { mode: string; oid: string; path: BytePath };

/** Writes entries into the index. Returns `false` if git refuses one of them. */
export async function addEntries(git: Git, place: IndexPlace, entries: Entry[]): Promise<boolean> {
  if (entries.length === 0) return true;
  const lines = entries.map(({ mode, oid, path }) => `${mode} ${oid}\t${path}`);
  const added = await updateIndex(git, place, ['--add', '--replace', '--index-info'], lines);
  return added.ok && !hasRefusedName(added);
}

/** Git passes over names such as `.GIT` and `git~1`, and succeeds. */
function hasRefusedName({ stderr }: GitResult): boolean {
  return /^Ignoring path /m.test(stderr);
}

/** Runs `update-index`. Each line of its input ends with a NUL. */
export function updateIndex(git: Git, place: IndexPlace, options: string[], lines: string[]): Promise<GitResult> {
  const input = Buffer.from(lines.map((line) => `${line}\0`).join(''), 'latin1');
  return git(place, ['update-index', '-z', ...options], { ...listLimits, input });
}
