/**
 * Brings a checkout that people also work in up to its upstream. What is not committed stays as it is, whatever happens:
 * a rebase is done elsewhere, and the checkout then moves in one step that git refuses when a changed file is in the way.
 */
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SyncReport } from '../../task.ts';
import { type Git, GitError, type GitPlace, mustGit } from '../git/git.ts';
import type { GitSettings } from '../git/git-settings.ts';
import { identityOf } from '../git/identity.ts';
import type { StandIn } from '../git/mirror.ts';
import type { Repository } from '../git/repository.ts';
import { fetchUpstream, findStanding, relationOf, type Upstream } from '../git/upstream.ts';

export type Checkout = {
  git: Git;
  repository: Repository;
  settings: GitSettings;
  standIn: StandIn;
  /** Emptied at the server's start. */
  temporaryFolder: string;
};

/** Moving files is not cut short by the sync's own deadline: half of a move would be worse than a late one. */
const moveTimeoutMs = 120_000;

/** Of what goes over the network or can be repeated; `signal` gives it up. */
type Limits = { timeoutMs: number; signal: AbortSignal };

/** Throws the signal's reason, but nothing for what git says. */
export async function syncInPlace(checkout: Checkout, limits: Limits): Promise<SyncReport> {
  const place = placeOf(checkout);
  const head = await checkout.git(place, ['rev-parse', '--verify', '--quiet', 'HEAD'], { timeoutMs: 10_000 });
  const before = head.ok ? head.text : undefined;
  const standing = await findStanding(checkout.git, place, checkout.settings.repository);
  if (!standing.upstream) return { state: 'off', detail: standing.whyNone, revision: before };
  try {
    const after = await advance(checkout, place, standing.upstream, before, limits);
    return { state: after === before ? 'unchanged' : 'synced', revision: after };
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return { state: 'failed', detail: error.message, revision: before };
  }
}

/** The checkout with its own index and files, but the stand-in's settings. */
export function placeOf({ repository, standIn }: Checkout): GitPlace {
  const { gitDir, root } = repository;
  return { gitDir, commonDir: standIn.place.gitDir, workTree: root, hostSettings: standIn.place.hostSettings };
}

async function advance(
  checkout: Checkout,
  place: GitPlace,
  upstream: Upstream,
  head: string | undefined,
  limits: Limits,
): Promise<string> {
  const { git } = checkout;
  const theirs = await fetchUpstream(git, place, upstream, limits);
  const busy = await unfinishedBusiness(checkout.repository.gitDir);
  if (busy) throw new GitError(`a ${busy} is under way in the workspace`);
  const relation = head === undefined ? 'behind' : await relationOf(git, place, head, theirs);
  switch (relation) {
    case 'same':
    case 'ahead':
      return head ?? theirs;
    case 'behind':
      await mustGit(git(place, ['merge', '--ff-only', '--quiet', theirs], { timeoutMs: moveTimeoutMs }));
      return theirs;
    case 'diverged': {
      if (await hasLocalChanges(git, place)) {
        throw new GitError(`local commits and ${upstream.name} differ, and uncommitted changes forbid a rebase`);
      }
      const rebased = await rebaseElsewhere(checkout, head ?? theirs, theirs, upstream, limits);
      await mustGit(git(place, ['reset', '--keep', '--quiet', rebased], { timeoutMs: moveTimeoutMs }));
      return rebased;
    }
  }
}

/** Of tracked files. An untracked one in the way makes git refuse the move. */
async function hasLocalChanges(git: Git, place: GitPlace): Promise<boolean> {
  const status = ['status', '--porcelain', '--untracked-files=no', '--ignore-submodules=dirty'];
  return (await mustGit(git(place, status, { timeoutMs: moveTimeoutMs }))) !== '';
}

/** In a folder of its own, so that a conflict, a deadline or a crash leaves nothing to be undone. */
async function rebaseElsewhere(
  { git, settings, standIn, temporaryFolder }: Checkout,
  ours: string,
  theirs: string,
  upstream: Upstream,
  limits: Limits,
): Promise<string> {
  const folder = await mkdtemp(join(temporaryFolder, '.rebase-'));
  try {
    const place = { ...standIn.place, gitDir: join(folder, 'git'), workTree: join(folder, 'files') };
    for (const made of [place.gitDir, place.workTree]) await mkdir(made);
    await writeFile(join(place.gitDir, 'HEAD'), `${ours}\n`);
    const inCommon = { ...place, commonDir: standIn.place.gitDir };
    await mustGit(git(inCommon, ['read-tree', '--reset', '-u', ours], limits));
    const environment = identityOf([...settings.host, ...settings.repository]);
    const rebase = await git(inCommon, ['rebase', '--quiet', '--merge', theirs], { ...limits, environment });
    if (rebase.ok) return await mustGit(git(inCommon, ['rev-parse', '--verify', 'HEAD'], { timeoutMs: 10_000 }));
    const files = await git(inCommon, ['diff', '--name-only', '--diff-filter=U'], { timeoutMs: 10_000 });
    const conflicts = files.text.split('\n').filter(Boolean);
    if (conflicts.length === 0)
      throw new GitError(`local commits cannot be rebased onto ${upstream.name}: ${rebase.reason}`);
    throw new GitError(`local commits conflict with ${upstream.name} in ${conflicts.slice(0, 5).join(', ')}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const marks = {
  'rebase-merge': 'rebase',
  'rebase-apply': 'rebase',
  MERGE_HEAD: 'merge',
  CHERRY_PICK_HEAD: 'cherry-pick',
  REVERT_HEAD: 'revert',
};

async function unfinishedBusiness(gitDir: string): Promise<string | undefined> {
  for (const [name, what] of Object.entries(marks)) {
    if (await stat(join(gitDir, name)).catch(() => undefined)) return what;
  }
  return undefined;
}
