/**
 * Keeps a sync from replacing files by what git has stored for them. Git stores some files through a filter, such as Git
 * LFS, which stores a pointer. The server runs no filter, so a checkout would write the pointer over the content.
 */

import { join } from 'node:path';
import { listed } from '../../truncate.ts';
import { findAttributed } from '../changes/attributes.ts';
import type { IndexPlace } from '../changes/listings.ts';
import { entriesOf, type FileChange, listChanges } from '../changes/patch.ts';
import { addEntries, type Entry, hashFiles } from '../changes/store-files.ts';
import { type BytePath, shownPath } from '../git/byte-path.ts';
import type { Git } from '../git/git.ts';

export type FilteredFiles = {
  /** Undoes what `holdFiltered` has done. Called if the checkout could not be moved. */
  release(): Promise<void>;
  /** Sentences about the files for the user. */
  notes: string[];
};

/**
 * Prepares the move of a checkout from one commit to another. The index gets the new entries of files that have a filter
 * and hold their real content. Git then takes them for changed, and leaves them as they are.
 * @param place the checkout, with its own index
 * @param temporaryFolder a folder for files of git
 */
export async function holdFiltered(
  git: Git,
  place: IndexPlace,
  from: string,
  to: string,
  temporaryFolder: string,
): Promise<FilteredFiles> {
  const aside = { ...place, indexFile: join(temporaryFolder, '.none') };
  const changes = (await listChanges(git, { place: aside, tree: from }, to, { renames: false })).map(
    ({ change }) => change,
  );
  const paths = changes.flatMap(({ after }) => after?.path ?? []);
  const { filtered } = await findAttributed(git, { place, convertsAll: false }, paths);
  const isFiltered = new Set(filtered);
  const concerned = changes.filter(({ after }) => after && isFiltered.has(after.path));
  const held = await withContent(git, place, concerned);
  const [before, after] = [entriesOf(held, 'before'), entriesOf(held, 'after')];
  await addEntries(git, place, after);
  return {
    async release() {
      await addEntries(git, place, before);
    },
    notes: [
      ...noteOn(after, 'These files were left as they are, because git stores them through a filter'),
      ...noteOn(
        entriesOf(
          concerned.filter((change) => !held.includes(change)),
          'after',
        ),
        'These files are as git stores them, because the server runs no filter',
      ),
    ],
  };
}

/** Returns the changes of files whose bytes are not those that git has stored. */
async function withContent(git: Git, place: IndexPlace, changes: FileChange[]): Promise<FileChange[]> {
  const modified = changes.filter(({ before, after }) => before && after && isFile(before) && isFile(after));
  const held: FileChange[] = [];
  for (const change of modified) {
    const { path, oid } = change.before as Entry;
    const [onDisk] = (await hashFiles(git, place, [path], 'hash only')) ?? [];
    if (onDisk !== undefined && onDisk !== oid) held.push(change);
  }
  return held;
}

function isFile({ mode }: Entry): boolean {
  return mode.startsWith('100');
}

const maxNamed = 10;

function noteOn(entries: Entry[], sentence: string): string[] {
  if (entries.length === 0) return [];
  const paths = entries.map(({ path }) => shownPath(path));
  return [`${sentence}: ${listed(paths, maxNamed)}.`];
}

/** Returns those of the files that have no filter. */
export async function withoutFiltered(git: Git, place: IndexPlace, paths: BytePath[]): Promise<BytePath[]> {
  const { filtered } = await findAttributed(git, { place, convertsAll: false }, paths);
  const stored = new Set(filtered);
  return paths.filter((path) => !stored.has(path));
}
