/** Finds out what the files of a commit need: which attributes they have, and whether some of them are submodules. */
import { partsOf } from '../git/byte-path.ts';
import type { Git } from '../git/git.ts';
import type { Mirror } from '../git/mirror.ts';

export type FileFacts = {
  /** How the files of a worktree differ from the files in the user's checkout. Each is a plain sentence. */
  notes: string[];
  /** Whether several processes of git may write the files at once, which is faster. */
  parallel: boolean;
};

const unknown: FileFacts = { notes: [], parallel: false };
const maxAttributeFiles = 1000;

/** @param revision undefined if the repository has no commits */
export async function readFileFacts(git: Git, { place }: Mirror, revision: string | undefined): Promise<FileFacts> {
  if (revision === undefined) return unknown;
  const limits = { timeoutMs: 60_000, maxOutputBytes: 256 * 1024 * 1024 };
  const listed = await git(place, ['ls-tree', '-r', '-z', revision], limits);
  if (!listed.ok) return unknown;
  // An entry is `mode type id TAB path`.
  const entries = partsOf(listed.stdout);
  const files = entries.filter((entry) => /[\t/]\.gitattributes$/.test(entry)).slice(0, maxAttributeFiles);
  const input = files.map((entry) => `${entry.split(/[ \t]/, 3)[2]}\n`).join('');
  const { text } = files.length > 0 ? await git(place, ['cat-file', '--batch'], { ...limits, input }) : { text: '' };
  const filters = new Set([...text.matchAll(/^[^#\n]*\sfilter=(\S+)/gm)].map(([, name = '']) => name));
  const others = [...filters].filter((name) => name !== 'lfs').sort();
  return {
    notes: [
      ...(entries.some((entry) => entry.startsWith('160000 ')) ? ['The folders of submodules are empty.'] : []),
      ...(filters.has('lfs') ? ['Files in Git LFS are pointers, without their content.'] : []),
      ...(others.length > 0
        ? [`Files with the git filter ${others.join(', ')} are as git stores them; the filter does not run.`]
        : []),
    ],
    parallel: !text.includes('working-tree-encoding'),
  };
}
