/**
 * Stores files whose attributes git cannot use. Git ends with an error when it reads such a file, also in a list of the
 * changes of all files. So these files are taken out of the index while git lists the changes, and are stored as they are.
 */
import { lstat } from 'node:fs/promises';
import { type BytePath, pathBelow, shownPath } from '../git/byte-path.ts';
import { type Git, GitError } from '../git/git.ts';
import { readSmallFile } from '../git/repository.ts';
import { findAttributed, listEntries } from './attributes.ts';
import { type IndexPlace, readStatus, type Status } from './listings.ts';
import { type Omitted, omission } from './omissions.ts';
import { addEntries, type Entry, hashFiles, maxFileBytes, modeOf, removeFromIndex } from './store-files.ts';

/** `hidden` are the entries of the files that were removed from the index. */
export type UsableStatus = { status: Status; hidden: Entry[] };

/**
 * Compares the working tree with the index, as `readStatus` does. If git refuses because of an attribute, first removes
 * the files with that attribute from the index; those that are still there must then be given to `storeUnusable`.
 */
export async function readUsable(git: Git, place: IndexPlace): Promise<UsableStatus> {
  try {
    return { status: await readStatus(git, place), hidden: [] };
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    const entries = await listEntries(git, place);
    const all = entries.map(({ path }) => path);
    const unusable = new Set((await findAttributed(git, { place, convertsAll: false }, all)).unusable);
    if (unusable.size === 0) throw error;
    await removeFromIndex(git, place, [...unusable]);
    const hidden: Entry[] = [];
    for (const entry of entries) if (unusable.has(entry.path) && (await isFile(place, entry.path))) hidden.push(entry);
    const isHidden = new Set(hidden.map(({ path }) => path));
    const { untracked, ignored, ...status } = await readStatus(git, place);
    const others = (paths: BytePath[]) => paths.filter((path) => !isHidden.has(path));
    return { status: { ...status, untracked: others(untracked), ignored: others(ignored) }, hidden };
  }
}

/**
 * Stores the bytes of files. Returns those that are not as they were, each with the line of its attribute.
 * @param added files that the index never had
 * @param hidden the entries that `readUsable` has removed from the index
 * @param written the files that may have changed
 */
export async function storeUnusable(
  git: Git,
  place: IndexPlace,
  { added, hidden, written }: { added: BytePath[]; hidden: Entry[]; written: Set<BytePath> },
): Promise<Omitted[]> {
  const entries: Entry[] = [];
  const omitted: Omitted[] = [];
  const before = new Map(hidden.map((entry) => [entry.path, entry]));
  for (const path of new Set([...before.keys(), ...added])) {
    const old = before.get(path);
    const now = old && !written.has(path) ? old : await unconverted(git, place, path);
    if (now === undefined) omitted.push(omission(path, await whyNotStored(place, path)));
    else if (now.oid !== old?.oid || now.mode !== old.mode) {
      omitted.push(omission(path, 'converted', await findLine(place, path)));
    }
    entries.push(...[now ?? old].filter((entry) => entry !== undefined));
  }
  await addEntries(git, place, entries);
  return omitted;
}

async function unconverted(git: Git, place: IndexPlace, path: BytePath): Promise<Entry | undefined> {
  const stats = await lstat(pathBelow(place.workTree, path)).catch(() => undefined);
  const [oid] = stats?.isFile() && stats.size <= maxFileBytes ? ((await hashFiles(git, place, [path])) ?? []) : [];
  return stats && oid !== undefined ? { mode: modeOf(stats), oid, path } : undefined;
}

async function whyNotStored(place: IndexPlace, path: BytePath): Promise<'too_large' | 'unreadable'> {
  const size = (await lstat(pathBelow(place.workTree, path)).catch(() => undefined))?.size ?? 0;
  return size > maxFileBytes ? 'too_large' : 'unreadable';
}

/** Returns those of the paths that are files. Git reads the attributes of a link, and does not use them. */
export async function filesAmong(place: IndexPlace, paths: BytePath[]): Promise<BytePath[]> {
  const files: BytePath[] = [];
  for (const path of paths) if (await isFile(place, path)) files.push(path);
  return files;
}

async function isFile(place: IndexPlace, path: BytePath): Promise<boolean> {
  return (await lstat(pathBelow(place.workTree, path)).catch(() => undefined))?.isFile() ?? false;
}

/** An encoding without a name: an attribute that is only set or unset. */
const withoutName = /^[^#]*\s-?working-tree-encoding(\s|$)/;

/** Returns the file and the line of the attribute, such as `docs/.gitattributes:3`. The nearest file counts. */
async function findLine(place: IndexPlace, path: BytePath): Promise<string | undefined> {
  const steps = path.split('/').slice(0, -1);
  for (let depth = steps.length; depth >= 0; depth -= 1) {
    const file = [...steps.slice(0, depth), '.gitattributes'].join('/');
    const text = (await readSmallFile(pathBelow(place.workTree, file))) ?? '';
    const line = text.split('\n').findIndex((each) => withoutName.test(each));
    if (line >= 0) return `${shownPath(file)}:${line + 1}`;
  }
  return undefined;
}
