/**
 * Finds the upstream of the current branch or says why there is none, fetches the upstream, and compares commits with
 * it.
 */
import { type Git, mustGit } from './git.ts';
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
export type CurrentBranch = { branch?: string } & (
  | { upstream: Upstream }
  | { upstream?: undefined; noUpstream: string }
);

/**
 * Finds the current branch and its upstream.
 * @param place the repository whose HEAD names the current branch
 */
export async function findCurrentBranch(git: Git, place: GitPlace, settings: GitSetting[]): Promise<CurrentBranch> {
  const head = await git(place, ['symbolic-ref', '--quiet', 'HEAD'], { timeoutMs: 10_000 });
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
  const refspec = `+${upstream.ref}:${upstream.tracking}`;
  await mustGit(git(place, ['fetch', ...options, '--', upstream.remote, refspec], limits));
  return await mustGit(git(place, ['rev-parse', '--verify', upstream.tracking], { timeoutMs: 10_000 }));
}

export type Relation = 'same' | 'behind' | 'ahead' | 'diverged';

/** Returns the latest commit of the upstream that has been fetched. Returns `undefined` before the first fetch. */
export async function fetchedCommit(git: Git, place: GitPlace, upstream: Upstream): Promise<string | undefined> {
  const found = await git(place, ['rev-parse', '--verify', '--quiet', upstream.tracking], { timeoutMs: 10_000 });
  return found.ok ? found.text : undefined;
}

/** Returns how `ours` relates to `theirs`. If a shallow history lacks their common ancestor, they count as diverged. */
export async function relationOf(git: Git, place: GitPlace, ours: string, theirs: string): Promise<Relation> {
  if (ours === theirs) return 'same';
  const isAncestor = async (older: string, newer: string) =>
    (await git(place, ['merge-base', '--is-ancestor', older, newer], { timeoutMs: 10_000 })).ok;
  if (await isAncestor(ours, theirs)) return 'behind';
  return (await isAncestor(theirs, ours)) ? 'ahead' : 'diverged';
}
