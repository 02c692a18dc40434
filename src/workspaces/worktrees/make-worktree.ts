/** Makes a worktree: the files of a commit, checked out by the server's own git, and a `.git` for the agent. */
import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Baseline, emptyTree, makeBaselinePlace } from '../changes/baseline.ts';
import { type Git, type GitOptions, mustGit, quick } from '../git/git.ts';
import { convertsLineEnds } from '../git/git-settings.ts';
import { areRivals } from '../git/upstream.ts';
import { type Ref, writeAgentRepository } from './agent-repository.ts';
import type { StartPoint } from './start-point.ts';

export type Worktree = {
  /**
   * A folder that contains two folders: one with the checked-out files, and one with the server's records about them.
   */
  folder: string;
  start: StartPoint;
  baseline: Baseline;
};

/** Returns the options of a checkout. On slow disks, the checkout of a large repository takes minutes. */
function checkout({ files }: StartPoint): GitOptions {
  return { timeoutMs: 300_000, settings: files.parallel ? ['checkout.workers=0'] : [] };
}

/**
 * Makes a worktree of the commit at which the run starts.
 * @param folder the folder to make, which will contain the files in a folder called `name`
 * @param name the project's name, which agents and people see
 */
export async function makeWorktree(
  git: Git,
  start: StartPoint,
  folder: string,
  name: string,
  signal?: AbortSignal,
): Promise<Worktree> {
  const workTree = join(folder, name);
  await mkdir(workTree, { recursive: true, mode: 0o700 });
  const { place: inMirror, objects } = start.mirror;
  const place = await makeBaselinePlace(baselineFolder(folder), { ...inMirror, workTree }, objects);
  if (start.revision) {
    await mustGit(git(place, ['read-tree', '--reset', '-u', start.revision], { ...checkout(start), signal }));
  }
  return finish(git, folder, start, place);
}

/** Moves an unused worktree to another commit. Git writes only the files that differ. */
export async function moveWorktree(git: Git, worktree: Worktree, start: StartPoint): Promise<Worktree> {
  const { folder, baseline } = worktree;
  const target = start.revision ?? (await emptyTree(git, baseline.place));
  await mustGit(git(baseline.place, ['read-tree', '-m', '-u', baseline.tree, target], checkout(start)));
  return finish(git, folder, start, baseline.place);
}

/** Returns the baseline with its paths changed to `folder`, to which the worktree's folder was renamed. */
export function relocated(baseline: Baseline, folder: string): Baseline {
  const kept = baselineFolder(folder);
  const place = {
    ...baseline.place,
    workTree: join(folder, basename(baseline.place.workTree)),
    objectDir: join(kept, 'objects'),
    indexFile: join(kept, 'index'),
  };
  return { ...baseline, place };
}

function baselineFolder(folder: string): string {
  return join(folder, '.baseline');
}

async function finish(git: Git, folder: string, start: StartPoint, place: Baseline['place']): Promise<Worktree> {
  const { tree = await emptyTree(git, place), refs } = await contentOf(git, start);
  await writeAgentRepository(place.workTree, start, refs, place.indexFile);
  const convertsAll = convertsLineEnds(start.settings);
  const baseline = { place, tree, owned: true, convertsAll, ...(start.revision && { revision: start.revision }) };
  return { folder, start, baseline };
}

/** `tree` is undefined if the repository has no commits. `refs` are the remote branches and tags. */
type Content = { tree: string | undefined; refs: Ref[] };

const contents = new WeakMap<StartPoint, Promise<Content>>();

/** Returns the tree and refs of a start point. Asks git only once for each start point, not once for each worktree. */
function contentOf(git: Git, start: StartPoint): Promise<Content> {
  const content = contents.get(start) ?? readContent(git, start);
  contents.set(start, content);
  content.catch(() => contents.delete(start));
  return content;
}

async function readContent(git: Git, start: StartPoint): Promise<Content> {
  const { mirror, revision } = start;
  const [tree, refs] = await Promise.all([
    revision && mustGit(git(mirror.place, ['rev-parse', '--verify', `${revision}^{tree}`], quick)),
    listRefs(git, start),
  ]);
  return { tree, refs };
}

/** An agent sees at most this many remote branches and tags. */
const maxRefs = 10_000;

/**
 * Lists the remote branches and tags of the user's repository and of the mirror. If both have a ref with the same name,
 * the mirror's ref is returned, because the server fetched it. The same is true if git cannot have both names.
 */
async function listRefs(git: Git, start: StartPoint): Promise<Ref[]> {
  const format = '%(objectname) %(symref) %(refname)';
  const args = ['for-each-ref', `--count=${maxRefs}`, `--format=${format}`, 'refs/remotes', 'refs/tags'];
  const refs = new Map<string, Ref>();
  for (const place of [start.source, start.mirror.place]) {
    const { text } = await git(place, args, { timeoutMs: 30_000 });
    for (const line of text.split('\n').filter(Boolean)) {
      const [id = '', symbolic = '', name = ''] = line.split(' ');
      if (place !== start.source) for (const other of refs.keys()) if (areRivals(other, name)) refs.delete(other);
      refs.set(name, { id, symbolic, name });
    }
  }
  return [...refs.values()];
}
