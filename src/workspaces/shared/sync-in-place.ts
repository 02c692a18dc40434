/**
 * Syncs a checkout with its upstream while people may also be working in the checkout. Uncommitted changes are never
 * touched: a rebase is done in another folder, and then the checkout moves in one step. Git refuses this step if it
 * would overwrite a changed file.
 */
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SyncReport } from '../../task.ts';
import { partsOf } from '../git/byte-path.ts';
import { type Git, GitError, mustGit, quick } from '../git/git.ts';
import type { GitPlace } from '../git/git-environment.ts';
import { type GitSettings, identityIn } from '../git/git-settings.ts';
import type { Mirror } from '../git/mirror.ts';
import type { Repository } from '../git/repository.ts';
import { fetchUpstream, findCurrentBranch, knownCommits, relationOf, type Upstream } from '../git/upstream.ts';
import { holdFiltered, withoutFiltered } from './filtered-files.ts';

export type Checkout = {
  git: Git;
  repository: Repository;
  settings: GitSettings;
  mirror: Mirror;
  /** The folder for rebases. It is emptied at the server's start. */
  temporaryFolder: string;
};

/**
 * The time limit for moving the checkout to another commit, in milliseconds. The time limit of the sync does not apply
 * to the move, because the move must not be interrupted halfway.
 */
const moveTimeoutMs = 120_000;

/** The limits of steps that can be interrupted, such as the fetch. */
type Limits = { timeoutMs: number; signal: AbortSignal };

/**
 * Syncs the checkout with its upstream. Reports git errors as the state `failed`. Throws the signal's reason after an
 * abort.
 */
export async function syncInPlace(checkout: Checkout, limits: Limits): Promise<SyncReport> {
  const place = placeOf(checkout);
  const head = await checkout.git(place, ['rev-parse', '--verify', '--quiet', 'HEAD'], quick);
  const before = head.ok ? head.text : undefined;
  const current = await findCurrentBranch(checkout.git, place, checkout.settings.repository);
  if (!current.upstream) return { state: 'off', detail: current.noUpstream, revision: before };
  try {
    const { revision, notes } = await advance(checkout, place, current, before, limits);
    const state = revision === before ? 'unchanged' : 'synced';
    return { state, revision, ...(notes.length > 0 && { notes }) };
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return { state: 'failed', detail: error.message, revision: before };
  }
}

type InPlace = GitPlace & { workTree: string; indexFile: string };

/** Returns the place of commands that use the checkout's own index and files with the mirror's settings. */
export function placeOf({ repository, mirror }: Checkout): InPlace {
  const { gitDir, root: workTree } = repository;
  const { gitDir: commonDir, hostSettings } = mirror.place;
  return { gitDir, commonDir, workTree, indexFile: join(gitDir, 'index'), hostSettings };
}

async function advance(
  checkout: Checkout,
  place: InPlace,
  { branch, upstream }: { branch: string; upstream: Upstream },
  head: string | undefined,
  limits: Limits,
): Promise<Advanced> {
  const { git } = checkout;
  const unmoved = (revision: string): Advanced => ({ revision, notes: [] });
  const move = (to: string, args: string[]) => moveTo(checkout, place, { from: head, to, args });
  const known = await knownCommits(git, place, upstream);
  const theirs = await fetchUpstream(git, place, upstream, limits);
  const unfinished = await unfinishedOperation(checkout.repository.gitDir);
  if (unfinished) throw new GitError(`a ${unfinished} is in progress in the workspace`);
  const { kind, forks } =
    head === undefined ? { kind: 'behind' as const, forks: [] } : await relationOf(git, place, head, theirs, known);
  switch (kind) {
    case 'same':
    case 'ahead':
      return unmoved(head ?? theirs);
    case 'behind':
      return move(theirs, ['merge', '--ff-only', '--quiet', theirs]);
    case 'rewritten':
      // Unlike a reset, this keeps staged changes staged. It refuses to overwrite a changed file.
      return move(theirs, ['checkout', '--quiet', '--no-track', '-B', branch, theirs, '--']);
    case 'diverged': {
      if (await hasLocalChanges(git, place)) {
        throw new GitError(`local commits and ${upstream.name} differ, and uncommitted changes forbid a rebase`);
      }
      const rebased = await rebaseElsewhere(checkout, { ours: head ?? theirs, theirs, forks }, upstream, limits);
      return move(rebased, ['reset', '--keep', '--quiet', rebased]);
    }
  }
}

/** The commit at which the checkout is, and notes on its files. */
type Advanced = { revision: string; notes: string[] };

/** Moves the checkout with a git command. Files that have a filter keep their content. */
async function moveTo(
  { git, temporaryFolder }: Checkout,
  place: InPlace,
  { from, to, args }: { from: string | undefined; to: string; args: string[] },
): Promise<Advanced> {
  const filtered = from === undefined ? undefined : await holdFiltered(git, place, from, to, temporaryFolder);
  const moved = await git(place, args, { timeoutMs: moveTimeoutMs });
  if (moved.ok) return { revision: to, notes: filtered?.notes ?? [] };
  await filtered?.release();
  throw new GitError(moved.reason);
}

/**
 * Returns whether tracked files have uncommitted changes. Untracked files are not checked, because git itself refuses a
 * move that would overwrite an untracked file. Files that git stores through a filter always differ from what is stored.
 */
async function hasLocalChanges(git: Git, place: InPlace): Promise<boolean> {
  const args = ['diff', '--name-only', '-z', '--no-ext-diff', '--no-textconv', '--ignore-submodules=dirty', 'HEAD'];
  const running = git(place, args, { timeoutMs: moveTimeoutMs });
  await mustGit(running);
  return (await withoutFiltered(git, place, partsOf((await running).stdout))).length > 0;
}

/** Rebases in a temporary folder, so that a conflict, a timeout or a crash leaves the checkout unchanged. */
async function rebaseElsewhere(
  { git, settings, mirror, temporaryFolder }: Checkout,
  { ours, theirs, forks }: { ours: string; theirs: string; forks: string[] },
  upstream: Upstream,
  limits: Limits,
): Promise<string> {
  const folder = await mkdtemp(join(temporaryFolder, '.rebase-'));
  try {
    const place = { ...mirror.place, gitDir: join(folder, 'git'), workTree: join(folder, 'files') };
    for (const made of [place.gitDir, place.workTree]) await mkdir(made);
    await writeFile(join(place.gitDir, 'HEAD'), `${ours}\n`);
    const withCommonDir = { ...place, commonDir: mirror.place.gitDir };
    await mustGit(git(withCommonDir, ['read-tree', '--reset', '-u', ours], limits));
    const environment = identityIn(settings);
    // A rebase replays what one commit lacks. So this commit has all commits before the own ones as its parents.
    const parents = forks.flatMap((commit) => ['-p', commit]);
    const tree = ['commit-tree', `${theirs}^{tree}`, ...parents, '-m', 'commits before the own ones'];
    const before = await mustGit(git(withCommonDir, tree, { ...quick, environment }));
    const args = ['rebase', '--quiet', '--merge', '--onto', theirs, before];
    const rebase = await git(withCommonDir, args, { ...limits, environment });
    if (rebase.ok) return await mustGit(git(withCommonDir, ['rev-parse', '--verify', 'HEAD'], quick));
    const files = await git(withCommonDir, ['diff', '--name-only', '--diff-filter=U'], quick);
    const conflicts = files.text.split('\n').filter(Boolean);
    if (conflicts.length === 0) {
      throw new GitError(`local commits cannot be rebased onto ${upstream.name}: ${rebase.reason}`);
    }
    throw new GitError(`local commits conflict with ${upstream.name} in ${conflicts.slice(0, 5).join(', ')}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The files and folders in `.git` that exist during an operation, each with the name of the operation. */
const operationFiles = {
  'rebase-merge': 'rebase',
  'rebase-apply': 'rebase',
  MERGE_HEAD: 'merge',
  CHERRY_PICK_HEAD: 'cherry-pick',
  REVERT_HEAD: 'revert',
};

async function unfinishedOperation(gitDir: string): Promise<string | undefined> {
  for (const [name, operation] of Object.entries(operationFiles)) {
    if (await stat(join(gitDir, name)).catch(() => undefined)) return operation;
  }
  return undefined;
}
