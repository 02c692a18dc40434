/** Writes the files of a folder, except ignored files, as a git tree. Does not change the files or the baseline. */
import { randomUUID } from 'node:crypto';
import { lstat, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeAccessible } from '../../processes/remove-folder.ts';
import { type Git, GitError, type GitOptions, mustGit } from '../git/git.ts';
import { type Baseline, copyIndex } from './baseline.ts';

const limits: GitOptions = {
  timeoutMs: 120_000,
  maxOutputBytes: 256 * 1024 * 1024,
  settings: ['core.safecrlf=false'],
};

/** Repositories nested inside the folder are read up to this depth. */
const deepestNesting = 5;

type Place = Baseline['place'];
type Snapshotted = Pick<Baseline, 'place' | 'owned'>;

/** Takes a snapshot of the folder, and returns the id of its git tree. Throws a `GitError`. */
export async function snapshot(git: Git, baseline: Snapshotted): Promise<string> {
  const { workTree } = baseline.place;
  if (!(await isFolder(workTree))) throw new GitError('the folder of the run is gone');
  try {
    return await takeSnapshot(git, baseline);
  } catch (error) {
    if (!baseline.owned || !(error instanceof GitError)) throw error;
    await makeAccessible(workTree);
    return await takeSnapshot(git, baseline);
  }
}

async function takeSnapshot(
  git: Git,
  { place: { indexFile: original, ...rest }, owned }: Snapshotted,
): Promise<string> {
  const place = { ...rest, indexFile: `${original}.${randomUUID()}` };
  await copyIndex(original, place.indexFile);
  try {
    // This does not use `git add`, because in a nested repository it runs `git status`, which obeys that repository's
    // settings.
    const [{ gone, changed }, untracked] = await Promise.all([
      listChanged(git, place),
      listUntracked(git, place, owned ? deepestNesting : 0),
    ]);
    await updateIndex(git, place, ['--force-remove'], gone);
    await updateIndex(git, place, ['--add', '--replace'], [...changed, ...untracked]);
    return await mustGit(git(place, ['write-tree', '--missing-ok'], limits));
  } finally {
    await rm(place.indexFile, { force: true });
  }
}

/** Returns whether no file, not even an ignored one, was added, removed or changed since the baseline. */
export async function isUntouched(git: Git, { place }: Baseline): Promise<boolean> {
  const { gone, changed } = await listChanged(git, place);
  const others = await list(git, place, ['ls-files', '--others', '--directory']);
  return gone.length + changed.length + others.length === 0;
}

/** Returns `false` even for a link to a folder, because an agent may have replaced its folder with a link. */
export async function isFolder(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isDirectory() ?? false;
}

async function listChanged(git: Git, place: Place): Promise<{ gone: string[]; changed: string[] }> {
  const fields = await list(git, place, ['diff-files', '--name-status', '--no-renames', '--ignore-submodules=dirty']);
  const [gone, changed]: [string[], string[]] = [[], []];
  for (let at = 0; at + 1 < fields.length; at += 2) (fields[at] === 'D' ? gone : changed).push(fields[at + 1] ?? '');
  return { gone, changed };
}

/**
 * Lists untracked files, including those in nested repositories. Git lists a nested repository as one path that ends
 * with a slash.
 */
async function listUntracked(git: Git, place: Place, depth: number): Promise<string[]> {
  const found = await list(git, place, ['ls-files', '--others', '--exclude-standard']);
  const files = found.filter((path) => !path.endsWith('/'));
  if (depth === 0) return files;
  for (const folder of found.filter((path) => path.endsWith('/'))) {
    const name = Buffer.from(folder, 'latin1').toString('utf8');
    const inside = { ...place, workTree: join(place.workTree, name), indexFile: `${place.indexFile}.none` };
    for (const path of await listUntracked(git, inside, depth - 1)) files.push(folder + path);
  }
  return files;
}

/** Returns the fields that a git command prints. File names are bytes, which the encoding latin1 keeps unchanged. */
async function list(git: Git, place: Place, [command = '', ...args]: string[]): Promise<string[]> {
  const running = git(place, [command, '-z', ...args], limits);
  await mustGit(running);
  return (await running).stdout.toString('latin1').split('\0').filter(Boolean);
}

async function updateIndex(git: Git, place: Place, options: string[], changed: string[]): Promise<void> {
  if (changed.length === 0) return;
  const input = Buffer.from(changed.map((path) => `${path}\0`).join(''), 'latin1');
  await mustGit(git(place, ['update-index', '-z', ...options, '--stdin'], { ...limits, input }));
}
