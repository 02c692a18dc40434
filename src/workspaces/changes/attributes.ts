/**
 * Makes sure that files with git attributes keep their bytes. Git converts such files when it stores them (line ends,
 * encodings, `$Id$`) and when it writes them, and the second conversion does not always undo the first one.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, mkdir, readlink, rm } from 'node:fs/promises';
import { type BytePath, partsOf, pathBelow } from '../git/byte-path.ts';
import { type Git, mustGit } from '../git/git.ts';
import { type ChangedEntry, type IndexPlace, list, listLimits } from './listings.ts';
import { type Omitted, omission } from './omissions.ts';
import { addEntries, hashFiles, storeFiles } from './store-files.ts';

const conversions = ['text', 'crlf', 'eol', 'ident', 'working-tree-encoding'];

/** `converted`: git converts the file. `filtered`: git stores the file through a filter, such as Git LFS. */
export type Attributed = { converted: BytePath[]; filtered: BytePath[] };

/** Finds which of the files have attributes with which git changes their bytes. */
export async function findAttributed(git: Git, place: IndexPlace, paths: BytePath[]): Promise<Attributed> {
  if (paths.length === 0) return { converted: [], filtered: [] };
  const input = Buffer.from(paths.map((path) => `${path}\0`).join(''), 'latin1');
  const running = git(place, ['check-attr', '-z', '--stdin', ...conversions, 'filter'], { ...listLimits, input });
  await mustGit(running);
  const fields = partsOf((await running).stdout);
  const always = await convertsAlways(git, place);
  const converted = new Set<BytePath>(always ? paths : []);
  const filtered = new Set<BytePath>();
  for (let at = 0; at + 2 < fields.length; at += 3) {
    const [path = '', name, value = ''] = fields.slice(at, at + 3);
    if (value === 'unspecified' || value === 'unset') continue;
    (name === 'filter' ? filtered : converted).add(path);
  }
  return { converted: [...converted], filtered: [...filtered] };
}

/** Returns whether the settings of the user make git convert line ends of files without attributes. */
async function convertsAlways(git: Git, place: IndexPlace): Promise<boolean> {
  const { text } = await git(place, ['config', '--get', 'core.autocrlf'], { timeoutMs: 10_000 });
  return text !== '' && text !== 'false';
}

/**
 * Stores the bytes of each file as they are if git would otherwise write other bytes on a checkout. Returns the files
 * for which neither works: these are stored as git converts them.
 */
export async function keepBytes(git: Git, place: IndexPlace, converted: BytePath[]): Promise<Omitted[]> {
  const altered = await findAltered(git, place, converted);
  if (altered.length === 0) return [];
  const oids = (await hashFiles(git, place, altered)) ?? [];
  const modes = await modesOf(git, place, altered);
  const entries = altered.map((path, at) => ({ mode: modes.get(path) ?? '100644', oid: oids[at] ?? '', path }));
  await addEntries(git, place, entries);
  const still = await findAltered(git, place, altered);
  await storeFiles(git, place, still);
  return still.map((path) => omission(path, 'converted'));
}

/** Checks the files out of the index into a temporary folder, and returns those whose bytes differ. */
async function findAltered(git: Git, place: IndexPlace, paths: BytePath[]): Promise<BytePath[]> {
  if (paths.length === 0) return [];
  const folder = `${place.indexFile}.written`;
  await mkdir(folder, { mode: 0o700 });
  try {
    const input = Buffer.from(paths.map((path) => `${path}\0`).join(''), 'latin1');
    const args = ['checkout-index', '-z', '--quiet', '--stdin', `--prefix=${folder}/`];
    // The status is not checked: a file that git cannot write is found because it is missing.
    await git(place, args, { ...listLimits, input });
    const altered: BytePath[] = [];
    for (const path of paths) {
      const [made, written] = await Promise.all([place.workTree, folder].map((top) => digestOf(pathBelow(top, path))));
      if (made !== undefined && made !== written) altered.push(path);
    }
    return altered;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
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

async function modesOf(git: Git, place: IndexPlace, paths: BytePath[]): Promise<Map<BytePath, string>> {
  const wanted = new Set(paths);
  const modes = new Map<BytePath, string>();
  for (const entry of await list(git, place, ['ls-files', '--stage'])) {
    const path = entry.slice(entry.indexOf('\t') + 1);
    if (wanted.has(path)) modes.set(path, entry.slice(0, 6));
  }
  return modes;
}

/** The longest pointer of Git LFS, in bytes. */
const maxPointerBytes = 1024;

/**
 * Returns the files that hold the content to which the pointer in the index leads. Such a file is not a change: `git
 * lfs pull` has replaced the pointer by its content, and git stores the pointer.
 */
export async function findPointed(git: Git, place: IndexPlace, entries: ChangedEntry[]): Promise<Set<BytePath>> {
  const pointed = new Set<BytePath>();
  if (entries.length === 0) return pointed;
  const sizes = await cat(git, place, '--batch-check=%(objectsize)', entries);
  const small = entries.filter((_, at) => Number(sizes.split('\n')[at]) <= maxPointerBytes);
  // The pointers are ASCII, and each answer begins with the id that was asked for.
  const answers = (await cat(git, place, '--batch', small)).split(/^(?=[0-9a-f]{40,64} blob \d+\n)/m);
  for (const [at, { path }] of small.entries()) {
    const [, sum, size] = /\noid sha256:([0-9a-f]{64})\nsize (\d+)\n/.exec(answers[at] ?? '') ?? [];
    const file = pathBelow(place.workTree, path);
    const stats = await lstat(file).catch(() => undefined);
    if (sum && stats?.isFile() && stats.size === Number(size) && (await sha256Of(file)) === sum) pointed.add(path);
  }
  return pointed;
}

async function cat(git: Git, place: IndexPlace, how: string, entries: ChangedEntry[]): Promise<string> {
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
