/** Names what a snapshot leaves out although git does not mention it, or by rule. */
import type { BytePath } from '../git/byte-path.ts';
import type { IndexEntry, Untracked } from './listings.ts';
import { type Omitted, omission } from './omissions.ts';
import type { Survey } from './survey.ts';

export type Found = { surveyed: Survey; untracked: Untracked; ignored: BytePath[]; gitlinks: IndexEntry[] };

/** @param named paths that are named already */
export function nameUnlisted({ surveyed, untracked, ignored, gitlinks }: Found, named: Set<BytePath>): Omitted[] {
  const covered = new Set([...ignored.map((path) => path.replace(/\/$/, '')), ...gitlinks.map(({ path }) => path)]);
  const isCovered = (path: BytePath) => foldersOf(path).some((folder) => covered.has(folder));
  const outside = (paths: BytePath[]) => paths.filter((path) => !isCovered(path) && !named.has(path));
  const unread = new Set(untracked.unread);
  return [
    ...outside(surveyed.special).map((path) => omission(path, 'special_file')),
    ...outside(surveyed.emptyFolders).map((path) => omission(path, 'empty_folder')),
    ...outside(surveyed.unreadable).map((path) => omission(path, 'unreadable')),
    ...outside(surveyed.tooLong).map((path) => omission(path, 'path_too_long')),
    ...outside(surveyed.repositories.filter((path) => !unread.has(path.slice(0, -'/.git'.length)))).map((path) =>
      omission(path, 'nested_repository'),
    ),
    ...untracked.unread.map((path) => omission(path, 'nested_repository')),
    ...untracked.tooMany.map((path) => omission(path, 'over_limit')),
    ...ignored.map((path) => omission(path, 'ignored')),
  ];
}

/** Returns the path and the folders above it. */
function foldersOf(path: BytePath): BytePath[] {
  const steps = path.split('/');
  return steps.map((_, at) => steps.slice(0, at + 1).join('/'));
}
