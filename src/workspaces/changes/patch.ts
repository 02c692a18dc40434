/** Makes the patch of a run's changes. The patch is text without NUL, whatever the files contain. */
import { isUtf8 } from 'node:buffer';
import { open, rm, writeFile } from 'node:fs/promises';
import { type BytePath, quotedPath } from '../git/byte-path.ts';
import { type Git, type GitOptions, mustGit } from '../git/git.ts';
import type { GitPlace } from '../git/git-environment.ts';
import type { Baseline } from './baseline.ts';
import { addEntries, type Entry } from './store-files.ts';

const gitLimits: GitOptions = { timeoutMs: 300_000 };

/** `renames`: whether to detect renames; the default is true. `settings`: see `GitOptions`. */
type DiffOptions = { renames?: boolean; settings?: string[] };

/** Returns options of `git diff-tree`. It runs no conversion program that the repository configures. */
function diffOptions({ renames = true }: DiffOptions): string[] {
  const quiet = ['--no-ext-diff', '--no-textconv', '--submodule=short', '--ignore-submodules=none'];
  return ['-r', renames ? '-M' : '--no-renames', ...quiet];
}

const asPatch = ['--patch', '--binary', '--full-index', '--src-prefix=a/', '--dst-prefix=b/'];

/** A change of a file. Its `before` and `after` are undefined if the file was added or deleted. */
export type FileChange = { before?: Entry; after?: Entry };

/** Writes the whole patch to a file, without a size limit. */
export async function writePatch(
  git: Git,
  baseline: Baseline,
  tree: string,
  file: string,
  options: DiffOptions = {},
): Promise<void> {
  const args = ['diff-tree', ...diffOptions(options), ...asPatch, `--output=${file}`, baseline.tree, tree];
  await mustGit(git(withoutFiles(baseline), args, { ...gitLimits, settings: options.settings }));
}

/**
 * Returns the place without a working tree and an index. Git then reads no `.gitattributes`, which could make it treat
 * a text file as binary or a binary file as text.
 */
function withoutFiles({ place }: Pick<Baseline, 'place'>): GitPlace {
  return { ...place, workTree: undefined, indexFile: `${place.indexFile}.none` };
}

/** `missing` are the changes that the patch does not hold, because they do not fit into its limit. */
export type Patch = { text: string; missing: FileChange[] };

/**
 * Returns the patch of the changes.
 * @param changes all changes between the baseline and the tree, as `listChanges` returns them
 */
export async function makePatch(
  git: Git,
  baseline: Baseline,
  tree: string,
  changes: FileChange[],
  maxBytes: number,
): Promise<Patch> {
  const patch = new Collected(maxBytes);
  const unfit: FileChange[] = [];
  const file = `${baseline.place.indexFile}.patch`;
  try {
    // `git apply` does not see that a link goes away that was renamed, and refuses files in a folder in its place.
    const renames = !changes.some((change) => hasLink(change) && isRename(change));
    const listed = renames
      ? changes
      : (await listChanges(git, baseline, tree, { renames })).map(({ change }) => change);
    await writePatch(git, baseline, tree, file, { renames });
    await patch.add(file, listed, { onUnfit: (change) => unfit.push(change) });
    if (unfit.length > 0) await addBinary(git, baseline, unfit, file, patch);
    return { text: patch.text, missing: patch.missing };
  } finally {
    await rm(file, { force: true });
  }
}

/**
 * Adds changes in git's binary format, for contents that are not UTF-8 or hold a NUL. Compares trees that hold only
 * these files, because the names of the files may be no UTF-8, which an argument of a command cannot hold here.
 */
async function addBinary(
  git: Git,
  baseline: Baseline,
  changes: FileChange[],
  file: string,
  patch: Collected,
): Promise<void> {
  const attributes = `${baseline.place.indexFile}.attributes`;
  const settings = [`core.attributesFile=${attributes}`];
  const add = async (before: Entry[], after: Entry[], modes?: Map<BytePath, string>): Promise<void> => {
    const from = { ...baseline, tree: await treeOf(git, baseline, before) };
    const tree = await treeOf(git, baseline, after);
    const options = { renames: false, settings };
    const listed = await listChanges(git, from, tree, options);
    await writePatch(git, from, tree, file, options);
    await patch.add(
      file,
      listed.map(({ change }) => change),
      { modes },
    );
  };
  await writeFile(attributes, '* -diff\n');
  const [files, links] = [changes.filter((change) => !hasLink(change)), changes.filter(hasLink)];
  await add(entriesOf(files, 'before'), entriesOf(files, 'after'));
  // Git has no binary format for links. Each side is shown as a file, and then gets its mode.
  const modes = (side: 'before' | 'after') => new Map(entriesOf(links, side).map(({ path, mode }) => [path, mode]));
  if (links.length > 0) await add(entriesOf(links, 'before').map(asFile), [], modes('before'));
  if (links.length > 0) await add([], entriesOf(links, 'after').map(asFile), modes('after'));
  await rm(attributes);
}

function isRename({ before, after }: FileChange): boolean {
  return before !== undefined && after !== undefined && before.path !== after.path;
}

const linkMode = '120000';

function hasLink({ before, after }: FileChange): boolean {
  return before?.mode === linkMode || after?.mode === linkMode;
}

function asFile(entry: Entry): Entry {
  return entry.mode === linkMode ? { ...entry, mode: '100644' } : entry;
}

/** Returns the entries of the index before or after the changes. */
export function entriesOf(changes: FileChange[], side: 'before' | 'after'): Entry[] {
  return changes.flatMap((change) => change[side] ?? []);
}

async function treeOf(git: Git, baseline: Baseline, entries: Entry[]): Promise<string> {
  const place = { ...baseline.place, indexFile: `${baseline.place.indexFile}.part` };
  await rm(place.indexFile, { force: true });
  await addEntries(git, place, entries);
  const tree = await mustGit(git(place, ['write-tree', '--missing-ok'], gitLimits));
  await rm(place.indexFile, { force: true });
  return tree;
}

/** `status` is git's letter. `added` and `removed` count lines, and are undefined for a binary file. */
export type Listed = { change: FileChange; status: string; added?: number; removed?: number };

/** Lists the changes between the baseline and the tree. */
export async function listChanges(
  git: Git,
  baseline: Pick<Baseline, 'place' | 'tree'>,
  tree: string,
  options: DiffOptions = {},
): Promise<Listed[]> {
  const args = ['diff-tree', '-z', ...diffOptions(options), '--raw', '--numstat', baseline.tree, tree];
  const limits = { ...gitLimits, settings: options.settings, maxOutputBytes: 256 * 1024 * 1024 };
  const running = git(withoutFiles(baseline), args, limits);
  await mustGit(running);
  const fields = (await running).stdout.toString('latin1').split('\0');
  const listed: Listed[] = [];
  let at = 0;
  for (; fields[at]?.startsWith(':'); ) {
    const [oldMode = '', mode = '', oldOid = '', oid = '', status = ''] = (fields[at] ?? '').slice(1).split(' ');
    const renamed = status.startsWith('R');
    const from: BytePath = fields[at + 1] ?? '';
    const path = renamed ? (fields[at + 2] ?? '') : from;
    at += renamed ? 3 : 2;
    const before = { mode: oldMode, oid: oldOid, path: from };
    const after = { mode, oid, path };
    listed.push({
      status: status.charAt(0),
      change: { ...(status !== 'A' && { before }), ...(status !== 'D' && { after }) },
    });
  }
  for (const file of listed) {
    // A field is `added TAB removed TAB path`. For a rename its path is empty, and the next two fields are the old and
    // the new path.
    const [field = '', added, removed] = /^([^\t]*)\t([^\t]*)\t/.exec(fields[at] ?? '') ?? [];
    at += field === fields[at] ? 3 : 1;
    if (added !== '-') Object.assign(file, { added: Number(added), removed: Number(removed) });
  }
  return listed;
}

/** The sections of a patch that fit into its limit. */
class Collected {
  readonly missing: FileChange[] = [];
  readonly #maxBytes: number;
  readonly #texts: string[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get text(): string {
    return this.#texts.join('');
  }

  /**
   * Adds the sections of a patch file.
   * @param options.onUnfit called instead for a change whose section is no text
   * @param options.modes the modes of the files, which replace those in the sections
   */
  async add(
    file: string,
    changes: FileChange[],
    options: { onUnfit?(change: FileChange): void; modes?: Map<BytePath, string> | undefined },
  ): Promise<void> {
    const sections = sectionsOf(file, this.#maxBytes);
    for (const change of changes) {
      const found: (Buffer | undefined)[] = [];
      for (let count = sectionCount(change); count > 0; count -= 1) found.push((await sections.next()).value);
      const bytes = Buffer.concat(found.filter((section) => section !== undefined));
      const isText = isUtf8(bytes) && !bytes.includes(0);
      if (!isText && options.onUnfit) options.onUnfit(change);
      else if (!isText || found.includes(undefined) || this.#bytes + bytes.length > this.#maxBytes) {
        this.missing.push(change);
      } else {
        const mode = options.modes?.get((change.after ?? change.before)?.path ?? '');
        this.#bytes += bytes.length;
        this.#texts.push(withHeader(withMode(bytes.toString('utf8'), mode), change));
      }
    }
    await sections.return(undefined);
  }
}

/**
 * Quotes the names in the first line of a section if git needs it: `git apply` cannot find the end of a name in which a
 * folder ends with a space.
 */
function withHeader(section: string, { before, after }: FileChange): string {
  const [from = '', to = ''] = [before ?? after, after ?? before].map((entry) => entry?.path);
  if (!from.includes(' /') && !to.includes(' /')) return section;
  // Only a line feed ends a line of a patch, and not a carriage return in a file.
  const header = `diff --git ${quotedPath(`a/${from}`)} ${quotedPath(`b/${to}`)}`;
  return section.replace(/(^|\n)diff --git [^\n]*/g, (_, before: string) => before + header);
}

function withMode(section: string, mode: string | undefined): string {
  return mode === undefined ? section : section.replace(/(\n(?:new|deleted) file mode )\d+/, `$1${mode}`);
}

/** A change of a file into a link, or the reverse, is a deletion and an addition. */
function sectionCount({ before, after }: FileChange): number {
  return before && after && before.mode.slice(0, 2) !== after.mode.slice(0, 2) ? 2 : 1;
}

/**
 * The start of a file's section. A line of a file never matches, because the patch puts a space or a sign before it.
 */
const sectionStart = Buffer.from('\ndiff --git ');

/** Yields the sections of a patch file. Yields undefined for a section over `maxBytes`. */
async function* sectionsOf(file: string, maxBytes: number): AsyncGenerator<Buffer | undefined, undefined> {
  const handle = await open(file);
  try {
    let pending: Buffer = Buffer.alloc(0);
    let tooLarge = false;
    for await (const chunk of handle.createReadStream({ autoClose: false, highWaterMark: 1024 * 1024 })) {
      pending = Buffer.concat([pending, chunk as Buffer]);
      for (let next = pending.indexOf(sectionStart); next >= 0; next = pending.indexOf(sectionStart)) {
        yield tooLarge || next >= maxBytes ? undefined : pending.subarray(0, next + 1);
        pending = pending.subarray(next + 1);
        tooLarge = false;
      }
      if (pending.length <= maxBytes + sectionStart.length) continue;
      tooLarge = true;
      // The end is kept, because it may hold the beginning of the next start.
      pending = pending.subarray(-sectionStart.length);
    }
    if (pending.length > 0) yield tooLarge || pending.length > maxBytes ? undefined : pending;
    return undefined;
  } finally {
    await handle.close();
  }
}
