/**
 * Makes sure that files with git attributes keep their bytes. Git converts such files when it stores them (line ends,
 * encodings, `$Id$`) and when it writes them, and the second conversion does not always undo the first one.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, mkdir, readlink, rm, writeFile } from 'node:fs/promises';
import { type BytePath, partsOf, pathBelow } from '../git/byte-path.ts';
import { type Git, mustGit } from '../git/git.ts';
import type { Baseline } from './baseline.ts';
import { hasOnlyNames } from './inside.ts';
import { type IndexEntry, type IndexPlace, list, listLimits } from './listings.ts';
import { type Omitted, omission } from './omissions.ts';
import { addEntries, type Entry, hashFiles } from './store-files.ts';

const encoding = 'working-tree-encoding';
const conversions = ['text', 'crlf', 'eol', 'ident', encoding];

/**
 * `converted`: git converts the file. `encoded`: it converts the file to UTF-8. `filtered`: git stores the file through a
 * filter, such as Git LFS. `unusable`: git refuses to read or write the file, because its encoding has no name.
 */
export type Attributed = Record<'converted' | 'encoded' | 'filtered' | 'unusable', BytePath[]>;

/** Finds which of the files have attributes with which git changes their bytes. */
export async function findAttributed(
  git: Git,
  { place, convertsAll }: Pick<Baseline, 'place' | 'convertsAll'>,
  paths: BytePath[],
): Promise<Attributed> {
  if (paths.length === 0) return { converted: [], encoded: [], filtered: [], unusable: [] };
  const input = Buffer.from(paths.map((path) => `${path}\0`).join(''), 'latin1');
  const running = git(place, ['check-attr', '-z', '--stdin', ...conversions, 'filter'], { ...listLimits, input });
  await mustGit(running);
  const fields = partsOf((await running).stdout);
  const converted = new Set<BytePath>(convertsAll ? paths : []);
  const encoded = new Set<BytePath>();
  const filtered = new Set<BytePath>();
  const unusable = new Set<BytePath>();
  for (let at = 0; at + 2 < fields.length; at += 3) {
    const [path = '', name, value = ''] = fields.slice(at, at + 3);
    if (name === encoding && (value === 'set' || value === 'unset')) unusable.add(path);
    if (value === 'unspecified' || value === 'unset') continue;
    (name === 'filter' ? filtered : converted).add(path);
    if (name === encoding) encoded.add(path);
  }
  const usable = (found: Set<BytePath>) => [...found].filter((path) => !unusable.has(path));
  return { converted: usable(converted), encoded: usable(encoded), filtered: [...filtered], unusable: [...unusable] };
}

/** Whether a path is a file with attributes. */
export function hasAttributes(path: BytePath): boolean {
  return path === '.gitattributes' || path.endsWith('/.gitattributes');
}

/**
 * Stores the bytes of each file as they are if git would otherwise write other bytes on a checkout. Returns the files
 * for which neither works: these are stored as git converts them.
 * @param before the index from before the run, if the run has changed attributes. `git apply` reads attributes when it
 * first needs them: before it removes changed files, after that, or when it has written them. So the bytes must be kept
 * with the old attributes, without them, and with the new ones
 */
export async function keepBytes(
  git: Git,
  place: IndexPlace,
  converted: BytePath[],
  before: string | undefined,
): Promise<Omitted[]> {
  const check = async (paths: BytePath[]): Promise<BytePath[]> => {
    if (before === undefined) return findAltered(git, place, paths);
    const hidden = await changedAttributes(git, place, before);
    const views = [{ hidden: [] }, { hidden }, { hidden, before }];
    const altered = new Set<BytePath>();
    for (const view of views) for (const path of await findAltered(git, place, paths, view)) altered.add(path);
    return [...altered];
  };
  const files: BytePath[] = [];
  // Git converts no links, and follows a link whose bytes it is asked to store.
  for (const path of converted) {
    if ((await lstat(pathBelow(place.workTree, path)).catch(() => undefined))?.isFile()) files.push(path);
  }
  const altered = await check(files);
  if (altered.length === 0) return [];
  const oids = (await hashFiles(git, place, altered)) ?? [];
  const entriesBefore = await entriesOf(git, place, altered);
  const places = new Map(altered.map((path, at) => [path, at]));
  const unconverted = entriesBefore.map((entry) => ({
    ...entry,
    oid: oids[places.get(entry.path) ?? -1] ?? entry.oid,
  }));
  await addEntries(git, place, unconverted);
  const still = await check(altered);
  await addEntries(
    git,
    place,
    entriesBefore.filter(({ path }) => still.includes(path)),
  );
  return still.map((path) => omission(path, 'converted'));
}

/**
 * Checks the files out of the index into a temporary folder, and returns those whose bytes differ.
 * @param attributes if given, the files `.gitattributes` in the index count, except those in `hidden`. For these, the
 * files in the index `before` count, if it is given. Without `attributes`, those in the working tree count
 */
async function findAltered(
  git: Git,
  place: IndexPlace,
  paths: BytePath[],
  attributes?: { hidden: BytePath[]; before?: string },
): Promise<BytePath[]> {
  if (paths.length === 0) return [];
  const folder = `${place.indexFile}.written`;
  const view = `${place.indexFile}.view`;
  await mkdir(folder, { mode: 0o700 });
  await mkdir(view, { mode: 0o700 });
  try {
    const { hidden = [], before } = attributes ?? {};
    // Git looks for attributes first in the working tree, and then in the index. An empty file there hides them.
    for (const path of hidden) await writeEmpty(pathBelow(view, path));
    if (before) await writeFiles(git, { ...place, indexFile: before }, hidden, view);
    await writeFiles(git, attributes ? { ...place, workTree: view } : place, paths, folder);
    const altered: BytePath[] = [];
    for (const path of paths) {
      const [made, written] = await Promise.all([place.workTree, folder].map((top) => digestOf(pathBelow(top, path))));
      if (made !== undefined && made !== written) altered.push(path);
    }
    return altered;
  } finally {
    await rm(folder, { recursive: true, force: true });
    await rm(view, { recursive: true, force: true });
  }
}

/** Checks files out into a folder. The status is not checked: a file that git cannot write is missing. */
async function writeFiles(git: Git, place: IndexPlace, paths: BytePath[], folder: string): Promise<void> {
  if (paths.length === 0) return;
  const input = Buffer.from(paths.map((path) => `${path}\0`).join(''), 'latin1');
  const args = ['checkout-index', '-z', '--quiet', '--force', '--stdin', `--prefix=${folder}/`];
  await git(place, args, { ...listLimits, input });
}

async function writeEmpty(path: Buffer): Promise<void> {
  await mkdir(path.subarray(0, path.lastIndexOf('/')), { recursive: true });
  await writeFile(path, '');
}

/** Lists the files `.gitattributes` that are not the same in both indexes, or that only one of them has. */
async function changedAttributes(git: Git, place: IndexPlace, before: string): Promise<BytePath[]> {
  const [own, others] = await Promise.all([
    attributesIn(git, place),
    attributesIn(git, { ...place, indexFile: before }),
  ]);
  const counts = new Map<string, number>();
  const keyOf = ({ mode, oid, path }: Entry) => `${mode} ${oid} ${path}`;
  for (const entry of [...own, ...others]) counts.set(keyOf(entry), (counts.get(keyOf(entry)) ?? 0) + 1);
  const changed = [...own, ...others].filter((entry) => counts.get(keyOf(entry)) === 1);
  return [...new Set(changed.map(({ path }) => path))];
}

async function attributesIn(git: Git, place: IndexPlace): Promise<Entry[]> {
  // The files are written into a folder, and an agent may have written the index of a shared workspace.
  return (await listEntries(git, place)).filter(({ path }) => hasAttributes(path) && hasOnlyNames(path));
}

/** Returns a digest of a file's bytes or of a link's target. Returns undefined if there is neither. */
async function digestOf(path: Buffer): Promise<string | undefined> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats?.isSymbolicLink()) return `link ${(await readlink(path, 'buffer')).toString('latin1')}`;
  return stats?.isFile() ? `file ${await sha256Of(path)}` : undefined;
}

async function sha256Of(path: Buffer): Promise<string> {
  const sum = createHash('sha256');
  for await (const chunk of createReadStream(path)) sum.update(chunk as Buffer);
  return sum.digest('hex');
}

async function entriesOf(git: Git, place: IndexPlace, paths: BytePath[]): Promise<Entry[]> {
  const wanted = new Set(paths);
  return (await listEntries(git, place)).filter(({ path }) => wanted.has(path));
}

/** Lists the entries of an index. */
export async function listEntries(git: Git, place: IndexPlace): Promise<Entry[]> {
  const entries = await list(git, place, ['ls-files', '--stage']);
  return entries.map((entry) => ({
    mode: entry.slice(0, 6),
    oid: entry.split(' ', 2)[1] ?? '',
    path: entry.slice(entry.indexOf('\t') + 1),
  }));
}

/** The longest pointer of Git LFS, in bytes. */
const maxPointerBytes = 1024;

/**
 * Returns the files that hold the content to which the pointer in the index leads. Such a file is not a change: `git
 * lfs pull` has replaced the pointer by its content, and git stores the pointer.
 */
export async function findPointed(git: Git, place: IndexPlace, entries: IndexEntry[]): Promise<Set<BytePath>> {
  const pointed = new Set<BytePath>();
  if (entries.length === 0) return pointed;
  const sizes = await cat(git, place, '--batch-check=%(objectsize)', entries);
  const small = entries.filter((_, at) => Number(sizes.split('\n')[at]) <= maxPointerBytes);
  // The pointers are ASCII, and each answer begins with the id that was asked for.
  const answers = (await cat(git, place, '--batch', small)).split(/^(?=[0-9a-f]{40,64} blob \d+\n)/m);
  for (const [at, { path }] of small.entries()) {
    const [, sum, size] = /\noid sha256:([0-9a-f]{64})\nsize (\d+)$/m.exec(answers[at] ?? '') ?? [];
    const file = pathBelow(place.workTree, path);
    const stats = await lstat(file).catch(() => undefined);
    if (sum && stats?.isFile() && stats.size === Number(size) && (await sha256Of(file)) === sum) pointed.add(path);
  }
  return pointed;
}

async function cat(git: Git, place: IndexPlace, how: string, entries: IndexEntry[]): Promise<string> {
  if (entries.length === 0) return '';
  const input = entries.map(({ oid }) => `${oid}\n`).join('');
  return mustGit(git(place, ['cat-file', how], { ...listLimits, input }));
}

/** Returns whether a file is itself a pointer of Git LFS. */
export async function isPointer(place: IndexPlace, path: BytePath): Promise<boolean> {
  const file = pathBelow(place.workTree, path);
  const stats = await lstat(file).catch(() => undefined);
  if (!stats?.isFile() || stats.size > maxPointerBytes) return false;
  const chunks: Buffer[] = [];
  for await (const chunk of createReadStream(file)) chunks.push(chunk as Buffer);
  return /^version https:\/\/git-lfs\.github\.com\/spec\/v1\n(.*\n)*oid sha256:[0-9a-f]{64}\nsize \d+\n$/.test(
    Buffer.concat(chunks).toString('latin1'),
  );
}
