/** Describes a run's changes: a list of changed files, and a patch for `git apply`. */
import { isUtf8 } from 'node:buffer';
import { writeFile } from 'node:fs/promises';
import type { ChangedFile, WorkspaceResult } from '../../task.ts';
import { type Git, GitError, type GitOptions, mustGit } from '../git/git.ts';
import type { GitPlace } from '../git/git-environment.ts';
import type { Baseline } from './baseline.ts';

export type Changes = Pick<WorkspaceResult, 'revision' | 'files' | 'patch' | 'patchOmitted'>;

/** `maxPatchBytes` limits the patch, and `maxFiles` limits the list of changed files. */
export type ChangeLimits = { maxPatchBytes: number; maxFiles: number };

const gitLimits: GitOptions = { timeoutMs: 120_000 };

/** Options of `git diff-tree`: detect renames, and run no conversion program that the repository configures. */
const patchOptions = ['-r', '-M', '--no-ext-diff', '--no-textconv', '--submodule=short', '--ignore-submodules=none'];
const asPatch = ['--patch', '--binary', '--full-index', '--src-prefix=a/', '--dst-prefix=b/'];

/**
 * Compares the baseline with the current files, and returns the changed files and a patch.
 * @param tree the id of the git tree with the current files, as `snapshot` returns it
 */
export async function describeChanges(
  git: Git,
  baseline: Baseline,
  tree: string,
  limits: ChangeLimits,
): Promise<Changes> {
  const range = [baseline.tree, tree];
  const place = withoutFiles(baseline);
  const all = await listFiles(git, place, range);
  const { text, complete, fileCount } = await patchOf(git, place, range, all, limits.maxPatchBytes);
  const files = all.slice(0, limits.maxFiles).map(({ file }) => file);
  const omitted = [
    ...(complete
      ? []
      : [`the patch is over ${limits.maxPatchBytes} bytes and holds ${fileCount} of ${all.length} files`]),
    ...(all.length > files.length ? [`${files.length} of ${all.length} changed files are listed`] : []),
  ].join('; ');
  return {
    ...(baseline.revision && { revision: baseline.revision }),
    files,
    ...(text && { patch: text }),
    ...(omitted && { patchOmitted: omitted }),
  };
}

/** Writes the whole patch to a file, without a size limit. */
export async function writePatch(git: Git, baseline: Baseline, tree: string, file: string): Promise<void> {
  const args = ['diff-tree', ...patchOptions, ...asPatch, `--output=${file}`, baseline.tree, tree];
  await mustGit(git(withoutFiles(baseline), args, gitLimits));
}

/**
 * Returns the place without a working tree and an index. Git then reads no `.gitattributes`, which could make it treat
 * a text file as binary or a binary file as text.
 */
function withoutFiles({ place }: Baseline): GitPlace {
  return { ...place, workTree: undefined, indexFile: `${place.indexFile}.none` };
}

/** `sections` is the number of `diff --git` lines that the patch has for this file. */
type Listed = { file: ChangedFile; paths: Buffer[]; sections: number };

async function listFiles(git: Git, place: GitPlace, range: string[]): Promise<Listed[]> {
  const bytes = (args: string[]) => output(git, place, ['diff-tree', '-z', ...patchOptions, ...args, ...range]);
  const [raw, counts] = [fieldsOf(await bytes(['--raw'])), fieldsOf(await bytes(['--numstat']))];
  const listed: Listed[] = [];
  for (let at = 0; at + 1 < raw.length; ) {
    const letter = raw[at]?.toString('latin1').split(' ')[4]?.[0] ?? '';
    const paths = raw.slice(at + 1, at + (letter === 'R' ? 3 : 2));
    at += 1 + paths.length;
    // A field is `added TAB removed TAB path`. For a rename its path is empty, and the next two fields are the old and
    // the new path.
    const [added, removed, rest] = counts.shift()?.toString('latin1').split('\t') ?? [];
    if (rest === '') counts.splice(0, 2);
    const [from, path] = letter === 'R' ? paths : [undefined, paths[0]];
    const file: ChangedFile = {
      path: path?.toString('utf8') ?? '',
      change: changeOf(letter),
      ...(from && { from: from.toString('utf8') }),
      ...(added !== '-' && { added: Number(added), removed: Number(removed) }),
    };
    listed.push({ file, paths, sections: letter === 'T' ? 2 : 1 });
  }
  return listed;
}

function changeOf(letter: string): ChangedFile['change'] {
  switch (letter) {
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

type Patch = { text: string; complete: boolean; fileCount: number };

async function patchOf(git: Git, place: GitPlace, range: string[], files: Listed[], maxBytes: number): Promise<Patch> {
  const args = ['diff-tree', ...patchOptions, ...asPatch, ...range];
  const result = await git(place, args, { ...gitLimits, maxOutputBytes: maxBytes });
  if (!result.ok && result.stopped !== 'output_too_large') throw new GitError(result.reason);
  const all = sectionsOf(result.stdout);
  // The output was cut off, so its last section is incomplete.
  if (!result.ok) all.pop();
  const texts: string[] = [];
  let size = 0;
  for (const { paths, sections } of files) {
    const found = all.splice(0, sections);
    if (found.length < sections) break;
    const bytes = Buffer.concat(found);
    const text = isUtf8(bytes) ? bytes.toString('utf8') : await asBinary(git, place, range, paths);
    size += Buffer.byteLength(text);
    if (size > maxBytes) break;
    texts.push(text);
  }
  return { text: texts.join(''), complete: texts.length === files.length, fileCount: texts.length };
}

/** Returns the patch of one file in git's binary format, for text that is not UTF-8, which JSON cannot hold. */
async function asBinary(git: Git, place: GitPlace, range: string[], paths: Buffer[]): Promise<string> {
  const attributes = `${place.indexFile}-attributes`;
  await writeFile(attributes, '* -diff\n');
  const names = paths.map((path) => path.toString('utf8'));
  const args = ['diff-tree', ...patchOptions, ...asPatch, ...range, '--', ...names];
  return (await output(git, place, args, [`core.attributesFile=${attributes}`])).toString('utf8');
}

/**
 * The start of a file's section. A line of a file never matches, because the patch puts a space or a sign before it.
 */
const sectionStart = Buffer.from('\ndiff --git ');

function sectionsOf(patch: Buffer): Buffer[] {
  const sections: Buffer[] = [];
  for (let from = 0; from < patch.length; ) {
    const next = patch.indexOf(sectionStart, from);
    const end = next < 0 ? patch.length : next + 1;
    sections.push(patch.subarray(from, end));
    from = end;
  }
  return sections;
}

async function output(git: Git, place: GitPlace, args: string[], settings: string[] = []): Promise<Buffer> {
  const result = await git(place, args, { ...gitLimits, settings, maxOutputBytes: 64 * 1024 * 1024 });
  if (!result.ok) throw new GitError(result.reason);
  return result.stdout;
}

function fieldsOf(bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(0, from);
    found.push(bytes.subarray(from, end < 0 ? bytes.length : end));
    from = end < 0 ? bytes.length : end + 1;
  }
  return found;
}
