/** Makes the folder of a run: the files of a commit, checked out by the server's own git, and a `.git` for the agent. */
import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { writeAgentRepository } from './agent-repository.ts';
import { type Baseline, makePlace } from '../changes/baseline.ts';
import { type Git, type GitPlace, mustGit } from '../git/git.ts';
import { factsOf } from './head-facts.ts';
import type { SyncedHead } from './start-point.ts';

export type Worktree = {
  /** Holds the files, and beside them what the server keeps about them. */
  folder: string;
  head: SyncedHead;
  baseline: Baseline;
  /** What an agent does not find in it. */
  notes: string[];
};

/** Of a checkout: large repositories on slow disks take their time. */
const checkoutLimits = { timeoutMs: 300_000 };

/** @param name of the folder with the files, by which agents and people know the project */
export async function makeWorktree(
  git: Git,
  head: SyncedHead,
  folder: string,
  name: string,
  signal?: AbortSignal,
): Promise<Worktree> {
  const workTree = join(folder, name);
  await mkdir(workTree, { recursive: true, mode: 0o700 });
  const place = await makePlace(baselineFolder(folder), { ...head.standIn.place, workTree }, head.standIn.objects);
  if (head.revision) {
    await mustGit(git(place, ['read-tree', '--reset', '-u', head.revision], { ...checkoutLimits, signal }));
  }
  return finish(git, folder, head, place);
}

/** Brings an unused worktree to another commit; only what differs is written. */
export async function moveWorktree(git: Git, worktree: Worktree, head: SyncedHead): Promise<Worktree> {
  const { folder, baseline } = worktree;
  const target = head.revision ?? (await emptyTree(git, baseline.place));
  await mustGit(git(baseline.place, ['read-tree', '-m', '-u', baseline.tree, target], checkoutLimits));
  return finish(git, folder, head, baseline.place);
}

/** The same baseline after its worktree's folder got another name. */
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

async function finish(git: Git, folder: string, head: SyncedHead, place: Baseline['place']): Promise<Worktree> {
  const { tree = await emptyTree(git, place), refs, notes } = await factsOf(git, head);
  await writeAgentRepository(place.workTree, head, refs, place.indexFile);
  const baseline = { place, tree, owned: true, ...(head.revision && { revision: head.revision }) };
  return { folder, head, baseline, notes };
}

/** Its id depends on the repository's hash. */
export async function emptyTree(git: Git, place: GitPlace): Promise<string> {
  return await mustGit(git(place, ['hash-object', '-t', 'tree', '-w', '--stdin'], { timeoutMs: 10_000, input: '' }));
}
