/** Names the files that are not among a run's collected changes, each with the reason. */

import type { Omission } from '../../task.ts';
import { listed } from '../../truncate.ts';
import { type BytePath, shownPath } from '../git/byte-path.ts';

/**
 * The text for clients of each reason. `lost` is true if the files have content that belongs in the patch. Then the work
 * counts as saved only after the server has kept these files elsewhere. Other files have no content, or a rule leaves
 * them out.
 */
const reasons: Record<Omission['reason'], { text: string; lost: boolean }> = {
  ignored: { text: 'ignored by .gitignore', lost: false },
  empty_folder: { text: 'empty folders, which git does not store', lost: false },
  special_file: { text: 'sockets, pipes and devices, which git does not store', lost: false },
  nested_repository: { text: 'the history of a repository inside the workspace', lost: false },
  submodule: { text: 'changes inside a submodule', lost: true },
  too_large: { text: 'too large', lost: true },
  unreadable: { text: 'not readable', lost: true },
  path_too_long: { text: 'files whose paths are too long for the system', lost: true },
  refused_name: { text: 'git does not allow the name', lost: true },
  converted: { text: 'git will write other bytes, because of its attributes', lost: true },
  over_limit: { text: 'over the limit of the patch', lost: true },
};

/** An omission whose path is not yet in the form for clients. `cause` is what a summary says of this file. */
export type Omitted = Omission & { path: BytePath; cause?: string };

export function omission(path: BytePath, reason: Omission['reason'], cause?: string): Omitted {
  return { path, reason, ...(cause && { cause }) };
}

export function isLost({ reason }: Omitted): boolean {
  return reasons[reason].lost;
}

/** How many paths a summary names for each reason. */
const maxNamed = 5;

/** Returns one line about the files whose content is missing. Returns undefined if there are none. */
export function summaryOf(omissions: Omitted[]): string | undefined {
  const byReason = Map.groupBy(omissions.filter(isLost), ({ reason }) => reason);
  const parts = [...byReason].map(([reason, found]) => {
    const named = found.map(({ path, cause }) => shownPath(path) + (cause ? ` (${cause})` : ''));
    return `${reasons[reason].text}: ${listed(named, maxNamed)}`;
  });
  return parts.length > 0 ? parts.join('; ') : undefined;
}
