/**
 * Finds the upstream of the current branch or says why there is none, fetches the upstream, and compares commits with
 * it.
 */
import { type Git, GitError, mustGit, quick } from './git.ts';
import type { GitPlace } from './git-environment.ts';
import { type GitSetting, remotesIn, settingOf } from './git-settings.ts';

export type Upstream = {
  remote: string;
  /** The ref at the remote, such as `refs/heads/main`. */
  ref: string;
  /** The local ref that tracks the upstream, such as `refs/remotes/origin/main`. */
  tracking: string;
  /** The upstream's name in messages, such as `origin/main`. */
  name: string;
};

/** `branch` is undefined if HEAD is detached. `noUpstream` says why there is no upstream. */
export type CurrentBranch =
  | { branch: string; upstream: Upstream }
  | { branch?: string; upstream?: undefined; noUpstream: string };

/**
 * Finds the current branch and its upstream.
 * @param place the repository whose HEAD names the current branch
 */
export async function findCurrentBranch(git: Git, place: GitPlace, settings: GitSetting[]): Promise<CurrentBranch> {
  const head = await git(place, ['symbolic-ref', '--quiet', 'HEAD'], quick);
  if (!head.ok) return { noUpstream: 'the workspace is at a detached HEAD' };
  const branch = head.text.replace(/^refs\/heads\//, '');
  const found = findUpstream(settings, branch);
  return typeof found === 'string' ? { branch, noUpstream: found } : { branch, upstream: found };
}

function findUpstream(settings: GitSetting[], branch: string): Upstream | string {
  if (remotesIn(settings).length === 0) return 'the repository has no remote';
  const remote = settingOf(settings, `branch.${branch}.remote`);
  const ref = settingOf(settings, `branch.${branch}.merge`);
  if (!remote || !ref?.startsWith('refs/heads/')) return `the branch ${branch} has no upstream`;
  if (remote === '.') return `the branch ${branch} follows a local branch`;
  if (settingOf(settings, `remote.${remote}.url`) === undefined) return `the remote of the branch ${branch} is unknown`;
  const name = `${remote}/${ref.slice('refs/heads/'.length)}`;
  return { remote, ref, name, tracking: `refs/remotes/${name}` };
}

/** Fetches the upstream and returns its latest commit. Throws a `GitError`, or the signal's reason after an abort. */
export async function fetchUpstream(
  git: Git,
  place: GitPlace,
  upstream: Upstream,
  limits: { timeoutMs: number; signal?: AbortSignal },
): Promise<string> {
  const options = ['--quiet', '--no-tags', '--no-write-fetch-head', '--no-recurse-submodules', '--no-auto-maintenance'];
  const args = ['fetch', ...options, '--', upstream.remote, `+${upstream.ref}:${upstream.tracking}`];
  let fetched = await git(place, args, limits);
  if (!fetched.ok && /cannot lock ref/.test(fetched.stderr) && (await deleteRivals(git, place, upstream.tracking))) {
    fetched = await git(place, args, limits);
  }
  if (!fetched.ok) throw new GitError(fetched.reason);
  return await mustGit(git(place, ['rev-parse', '--verify', upstream.tracking], quick));
}

/**
 * Deletes the tracking refs that cannot exist beside this one, such as `refs/remotes/origin/a` beside
 * `refs/remotes/origin/a/b`. The remote cannot have both branches, so it has deleted theirs. Returns whether there were
 * such refs.
 */
async function deleteRivals(git: Git, place: GitPlace, tracking: string): Promise<boolean> {
  const rivals = (await trackingRefs(git, place)).filter((ref) => areRivals(ref, tracking));
  await deleteRefs(git, place, rivals);
  return rivals.length > 0;
}

/** Returns whether git cannot have both refs, because one is a folder of the other. */
export function areRivals(one: string, other: string): boolean {
  return one.startsWith(`${other}/`) || other.startsWith(`${one}/`);
}

/**
 * Deletes all other tracking refs, for a mirror that fetches only one branch at a time: nobody would see that the remote
 * has deleted the others.
 */
export async function keepOnly(git: Git, place: GitPlace, tracking: string): Promise<void> {
  const refs = await trackingRefs(git, place);
  await deleteRefs(
    git,
    place,
    refs.filter((ref) => ref !== tracking),
  );
}

async function trackingRefs(git: Git, place: GitPlace): Promise<string[]> {
  const args = ['for-each-ref', '--format=%(refname)', 'refs/remotes'];
  return (await mustGit(git(place, args, quick))).split('\n').filter(Boolean);
}

/** Deletes refs, also those whose objects are missing. */
export async function deleteRefs(git: Git, place: GitPlace, refs: string[]): Promise<void> {
  for (const ref of refs) await mustGit(git(place, ['update-ref', '--no-deref', '-d', ref], quick));
}

/** Returns the latest commit of the upstream that has been fetched. Returns `undefined` before the first fetch. */
export async function fetchedCommit(git: Git, place: GitPlace, upstream: Upstream): Promise<string | undefined> {
  const found = await git(place, ['rev-parse', '--verify', '--quiet', upstream.tracking], quick);
  return found.ok ? found.text : undefined;
}

/** How far back the log of a ref is read. */
const maxKnown = 1000;

/** Returns the commits at which the upstream was seen, as the log of its tracking ref says. */
export async function knownCommits(git: Git, place: GitPlace, upstream: Upstream): Promise<string[]> {
  const args = ['rev-list', '--walk-reflogs', `--max-count=${maxKnown}`, upstream.tracking];
  const [latest, log] = await Promise.all([fetchedCommit(git, place, upstream), git(place, args, quick)]);
  return [...new Set([...(latest ? [latest] : []), ...log.text.split('\n').filter(Boolean)])];
}

/**
 * How a branch relates to its upstream. `same`: both are at the same commit. `behind`: it has no commits of its own.
 * `rewritten`: it has no commits of its own, but commits that the upstream has dropped. `ahead`: it has the whole upstream, and commits of its own. `diverged`: it has
 * commits of its own, and either the upstream has others, or the branch still has commits that the upstream has dropped.
 */
export type Relation = {
  kind: 'same' | 'behind' | 'rewritten' | 'ahead' | 'diverged';
  /** The commits before the branch's own ones: several if the branch has merged the upstream. */
  forks: string[];
};

/**
 * Returns how `ours` relates to `theirs`. The branch's own commits are those that the upstream never had: a commit that
 * the upstream has dropped, for example by an amendment and a forced push, is not an own commit.
 * @param known earlier commits of the upstream
 */
export async function relationOf(
  git: Git,
  place: GitPlace,
  ours: string,
  theirs: string,
  known: string[],
): Promise<Relation> {
  if (ours === theirs) return { kind: 'same', forks: [] };
  const own = await commitsWithout(git, place, ours, [theirs, ...known]);
  const commits = own.filter((line) => !line.startsWith('-'));
  const isAncestor = async (older: string, newer: string) =>
    (await git(place, ['merge-base', '--is-ancestor', older, newer], quick)).ok;
  if (commits.length === 0) {
    return { kind: (await isAncestor(ours, theirs)) ? 'behind' : 'rewritten', forks: [] };
  }
  const forks = own.filter((line) => line.startsWith('-')).map((line) => line.slice(1));
  if (!(await isAncestor(theirs, ours))) return { kind: 'diverged', forks };
  const ahead = (await commitsWithout(git, place, ours, [theirs])).filter((line) => !line.startsWith('-'));
  return { kind: ahead.length === commits.length ? 'ahead' : 'diverged', forks };
}

/** Lists the commits of `ours` that none of the others has. The lines of the commits before them begin with a dash. */
async function commitsWithout(git: Git, place: GitPlace, ours: string, others: string[]): Promise<string[]> {
  const input = [ours, ...others.map((commit) => `^${commit}`), ''].join('\n');
  const args = ['rev-list', '--ignore-missing', '--boundary', '--stdin'];
  const limits = { timeoutMs: 60_000, maxOutputBytes: 256 * 1024 * 1024 };
  return (await mustGit(git(place, args, { ...limits, input }))).split('\n').filter(Boolean);
}
