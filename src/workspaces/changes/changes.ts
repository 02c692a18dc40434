/** Describes a run's changes: a list of changed files, a patch for `git apply`, and what neither of them holds. */
import type { ChangedFile, WorkspaceResult } from '../../task.ts';
import { shownPath } from '../git/byte-path.ts';
import type { Git } from '../git/git.ts';
import type { Baseline } from './baseline.ts';
import { omission, summaryOf } from './omissions.ts';
import { type Listed, listChanges, makePatch } from './patch.ts';
import type { Snapshot } from './snapshot.ts';

export type Changes = Pick<WorkspaceResult, 'revision' | 'files' | 'omitted' | 'patch' | 'patchOmitted'>;

/** `maxPatchBytes` limits the patch, and `maxFiles` limits the lists of changed and of omitted files. */
export type ChangeLimits = { maxPatchBytes: number; maxFiles: number };

/** Compares the baseline with a snapshot, and returns the changed files and a patch. */
export async function describeChanges(
  git: Git,
  baseline: Baseline,
  { tree, omitted }: Pick<Snapshot, 'tree' | 'omitted'>,
  limits: ChangeLimits,
): Promise<Changes> {
  const all = tree === baseline.tree ? [] : await listChanges(git, baseline, tree);
  const changes = all.map(({ change }) => change);
  const nothing = { text: '', missing: [] };
  const { text, missing } =
    changes.length === 0 ? nothing : await makePatch(git, baseline, tree, changes, limits.maxPatchBytes);
  const overLimit = missing.map(({ before, after }) => omission((after ?? before)?.path ?? '', 'over_limit'));
  const allOmitted = [...omitted, ...overLimit].sort((one, other) => (one.path < other.path ? -1 : 1));
  const files = all.slice(0, limits.maxFiles).map(describe);
  const listed = allOmitted.slice(0, limits.maxFiles).map(({ path, reason }) => ({ path: shownPath(path), reason }));
  const parts = [
    missing.length > 0 &&
      `the patch is limited to ${limits.maxPatchBytes} bytes and holds ${all.length - missing.length} of ${all.length} files`,
    summaryOf(allOmitted),
    all.length > files.length && `${files.length} of ${all.length} changed files are listed`,
    allOmitted.length > listed.length && `${listed.length} of ${allOmitted.length} omitted files are listed`,
  ];
  const patchOmitted = parts.filter(Boolean).join('; ');
  return {
    ...(baseline.revision && { revision: baseline.revision }),
    files,
    ...(listed.length > 0 && { omitted: listed }),
    ...(text && { patch: text }),
    ...(patchOmitted && { patchOmitted }),
  };
}

function describe({ change: { before, after }, status, added, removed }: Listed): ChangedFile {
  return {
    path: shownPath((after ?? before)?.path ?? ''),
    change: changeOf(status),
    ...(status === 'R' && before && { from: shownPath(before.path) }),
    ...(added !== undefined && { added, removed }),
  };
}

function changeOf(status: string): ChangedFile['change'] {
  switch (status) {
    case 'A':
      return 'added';
    case 'D':
      return 'deleted';
    case 'R':
      return 'renamed';
    default:
      return 'modified';
  }
}
