/**
 * Stores files in an index and in the object store. A file that git cannot store does not keep the others from being
 * stored.
 */
import type { Stats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { type BytePath, pathBelow, quotedPath } from '../git/byte-path.ts';
import { type Git, GitError, type GitResult, mustGit } from '../git/git.ts';
import { type IndexPlace, list, listLimits } from './listings.ts';
import { type Omitted, omission } from './omissions.ts';

/** Files over this size in bytes are not stored. Git would need as much memory and minutes for each. */
export const maxFileBytes = 256 * 1024 * 1024;

/** Removes paths from the index. */
export async function removeFromIndex(git: Git, place: IndexPlace, paths: BytePath[]): Promise<void> {
  if (paths.length > 0) await mustGit(updateIndex(git, place, ['--force-remove', '--stdin'], paths));
}

/**
 * Stores the files as they are in the working tree. Returns those that could not be stored, with the reason.
 * @param encoded the files that git converts to UTF-8 when it stores them
 */
export async function storeFiles(
  git: Git,
  place: IndexPlace,
  paths: BytePath[],
  encoded: BytePath[] = [],
): Promise<Omitted[]> {
  const tooLarge: BytePath[] = [];
  const storable: BytePath[] = [];
  const modes = new Map<BytePath, string>();
  for (const path of paths) {
    const stats = await lstat(pathBelow(place.workTree, path)).catch(() => undefined);
    if (stats?.isFile()) modes.set(path, modeOf(stats));
    if (stats?.isFile() && stats.size > maxFileBytes) tooLarge.push(path);
    else if (stats) storable.push(path);
  }
  const unfit = await findUnfit(
    git,
    place,
    encoded.filter((path) => modes.has(path) && !tooLarge.includes(path)),
  );
  const entries = [...unfit].map(([path, oid]) => ({ mode: modes.get(path) ?? '100644', oid, path }));
  await addEntries(git, place, entries);
  const rest = storable.filter((path) => !unfit.has(path));
  return [...tooLarge.map((path) => omission(path, 'too_large')), ...(await storeAll(git, place, rest))];
}

export function modeOf({ mode }: Stats): string {
  return mode & 0o100 ? '100755' : '100644';
}

/**
 * Stores the files that are not in the encoding which their attributes say, without a conversion. Git would refuse
 * them. Returns their blobs.
 */
async function findUnfit(git: Git, place: IndexPlace, encoded: BytePath[]): Promise<Map<BytePath, string>> {
  const unfit = new Map<BytePath, string>();
  if (encoded.length === 0) return unfit;
  const input = encoded.map((path) => `${quotedPath(path)}\n`).join('');
  // Without `-w`, git only warns of such a file, and does not convert it.
  const { text } = await git(place, ['hash-object', '--stdin-paths'], { ...listLimits, input });
  const unconverted = (await hashFiles(git, place, encoded)) ?? [];
  for (const [at, oid] of text.split('\n').entries()) {
    if (oid !== '' && oid === unconverted[at]) unfit.set(encoded[at] ?? '', oid);
  }
  return unfit;
}

/** Halves the list until the files that git cannot read are alone, because git stores either all files or none. */
async function storeAll(git: Git, place: IndexPlace, paths: BytePath[]): Promise<Omitted[]> {
  if (paths.length === 0) return [];
  const stored = await updateIndex(git, place, ['--add', '--replace', '--stdin'], paths);
  if (stored.ok) return hasRefusedName(stored) ? findRefused(git, place, paths) : [];
  if (!canWrite(stored)) throw new GitError(`the files could not be stored: ${stored.reason}`);
  const [only = ''] = paths;
  if (paths.length === 1) {
    const stats = await lstat(pathBelow(place.workTree, only)).catch(() => undefined);
    return [omission(only, stats?.isDirectory() ? 'submodule' : 'unreadable')];
  }
  const half = Math.ceil(paths.length / 2);
  const first = await storeAll(git, place, paths.slice(0, half));
  return [...first, ...(await storeAll(git, place, paths.slice(half)))];
}

/** Returns `false` if git cannot write its own files, for example on a full disk. The files are not the reason then. */
function canWrite({ stderr }: GitResult): boolean {
  return !/No space left on device|Disk quota exceeded|Read-only file system|write new.index file/i.test(stderr);
}

/** Git passes over names such as `.GIT` and `git~1`, and succeeds. */
function hasRefusedName({ stderr }: GitResult): boolean {
  return /^Ignoring path /m.test(stderr);
}

async function findRefused(git: Git, place: IndexPlace, paths: BytePath[]): Promise<Omitted[]> {
  const listed = new Set(await list(git, place, ['ls-files', '--cached']));
  return paths.filter((path) => !listed.has(path)).map((path) => omission(path, 'refused_name'));
}

/**
 * Returns the ids of blobs with the bytes of files, without conversions. Returns undefined if a file cannot be read.
 * @param how whether the blobs are also written
 */
export async function hashFiles(
  git: Git,
  place: IndexPlace,
  paths: BytePath[],
  how: 'write' | 'hash only' = 'write',
): Promise<string[] | undefined> {
  const input = paths.map((path) => `${quotedPath(path)}\n`).join('');
  const args = ['hash-object', ...(how === 'write' ? ['-w'] : []), '--no-filters', '--stdin-paths'];
  const hashed = await git(place, args, { ...listLimits, input });
  return hashed.ok ? hashed.text.split('\n') : undefined;
}

/** An entry of an index. With the mode `0`, the path is removed. */
export type Entry = { mode: string; oid: string; path: BytePath };

/** Writes entries into the index. Throws a `GitError`, and writes nothing, if git refuses one of them. */
export async function addEntries(git: Git, place: IndexPlace, entries: Entry[]): Promise<void> {
  if (entries.length === 0) return;
  const lines = entries.map(({ mode, oid, path }) => `${mode} ${oid}\t${path}`);
  await mustGit(updateIndex(git, place, ['--add', '--replace', '--index-info'], lines));
}

/** Runs `update-index`. Each line of its input ends with a NUL. */
export function updateIndex(git: Git, place: IndexPlace, options: string[], lines: string[]): Promise<GitResult> {
  const input = Buffer.from(lines.map((line) => `${line}\0`).join(''), 'latin1');
  return git(place, ['update-index', '-z', ...options], { ...listLimits, input });
}
