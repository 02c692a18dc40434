/**
 * Finds changes inside submodules. A patch of the repository holds only the commit of a submodule, and not the files in
 * it.
 */
import { copyFile, lstat, mkdir, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BytePath, pathBelow } from '../git/byte-path.ts';
import { type Git, GitError, quick } from '../git/git.ts';
import { gitDirOf } from '../git/repository.ts';
import { keepInside } from './inside.ts';
import { type IndexEntry, type IndexPlace, inFolder, list, listGitlinks, readStatus, type Status } from './listings.ts';
import { commitOfSubmodule } from './submodule-commits.ts';

/** What an agent's own index says. It is only read, because the agent may have written anything into it. */
export type AgentIndex = {
  /** The submodules that the agent has added, and that `.gitmodules` declares. */
  submodules: Set<BytePath>;
  /** The ignored files that the agent has added in spite of that. */
  forced: BytePath[];
};

const largestIndex = 256 * 1024 * 1024;

/**
 * Reads the index of the repository in the working tree. Returns nothing if there is none, or if git cannot read it.
 * @param status only what it leaves open is read
 */
export async function readAgentIndex(git: Git, place: IndexPlace, status: Status): Promise<AgentIndex> {
  const none: AgentIndex = { submodules: new Set(), forced: [] };
  const index = join(place.workTree, '.git', 'index');
  const folder = await lstat(join(place.workTree, '.git')).catch(() => undefined);
  const stats = folder?.isDirectory() ? await lstat(index).catch(() => undefined) : undefined;
  if (!stats?.isFile() || stats.size > largestIndex) return none;
  const mayHaveSubmodules = status.untracked.some((path) => path.endsWith('/'));
  if (!mayHaveSubmodules && status.ignored.length === 0) return none;
  const copy = { ...place, indexFile: `${place.indexFile}.agent` };
  try {
    await copyFile(index, copy.indexFile);
    const declared = mayHaveSubmodules ? await declaredSubmodules(git, place) : new Set<BytePath>();
    const added = declared.size > 0 ? await listGitlinks(git, copy) : [];
    const forced = ['ls-files', '--cached', '--ignored', '--exclude-standard'];
    const ignored = status.ignored.length > 0 ? await list(git, copy, forced) : [];
    const submodules = added.map(({ path }) => path).filter((path) => declared.has(path));
    return {
      submodules: await withCommit(place, submodules),
      forced: await keepInside(place.workTree, ignored.filter(isNamed)),
    };
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return none;
  } finally {
    await rm(copy.indexFile, { force: true });
  }
}

/** Git does not check the paths when it reads an index, and then refuses the whole list. */
function isNamed(path: BytePath): boolean {
  return !path.split('/').some((step) => /^(|\.|\.\.|\.git)$/i.test(step));
}

/** A repository without a commit inside the working tree is no submodule, but its files. */
async function withCommit(place: IndexPlace, paths: BytePath[]): Promise<Set<BytePath>> {
  const found = new Set<BytePath>();
  for (const path of paths) if (await commitOfSubmodule(place.workTree, path)) found.add(path);
  return found;
}

async function declaredSubmodules(git: Git, place: IndexPlace): Promise<Set<BytePath>> {
  const file = join(place.workTree, '.gitmodules');
  if (!(await lstat(file).catch(() => undefined))?.isFile()) return new Set();
  const args = ['config', '--file', file, '--no-includes', '-z', '--get-regexp', String.raw`^submodule\..*\.path$`];
  const { stdout } = await git(place, args, quick);
  const values = stdout.toString('latin1').split('\0');
  return new Set(values.map((value) => value.slice(value.indexOf('\n') + 1)).filter(Boolean));
}

/**
 * Returns the submodules whose files are not those of the commit that the index names. A submodule that was never filled
 * is an empty folder, and has no changes.
 */
export async function findChangedSubmodules(git: Git, place: IndexPlace, gitlinks: IndexEntry[]): Promise<BytePath[]> {
  const changed: BytePath[] = [];
  for (const gitlink of gitlinks) {
    const folder = pathBelow(place.workTree, gitlink.path);
    if (!(await lstat(folder).catch(() => undefined))?.isDirectory()) continue;
    if ((await readdir(folder)).length === 0) continue;
    if (!(await isUnchanged(git, place, gitlink))) changed.push(gitlink.path);
  }
  return changed;
}

/** Compares the files with the commit by an index and an object folder of the server, so no setting of theirs applies. */
async function isUnchanged(git: Git, place: IndexPlace, { path, oid }: IndexEntry): Promise<boolean> {
  const own = `${place.indexFile}.submodule`;
  try {
    return await inFolder(place, path, async (workTree) => {
      const gitDir = await gitDirOf(await realpath(workTree));
      if (gitDir === undefined || gitDir.includes('\n')) return false;
      await mkdir(join(own, 'objects/info'), { recursive: true });
      await writeFile(join(own, 'objects/info/alternates'), `${join(gitDir, 'objects')}\n`);
      const inside = { ...place, workTree, indexFile: join(own, 'index'), objectDir: join(own, 'objects') };
      if (!(await git(inside, ['read-tree', oid], { timeoutMs: 60_000 })).ok) return false;
      const { gone, changed, untracked } = await readStatus(git, inside);
      return gone.length + changed.length + untracked.length === 0;
    });
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return false;
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}
