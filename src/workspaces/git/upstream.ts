/** The upstream of the current branch: finds it or says why there is none, fetches it, and compares commits with it. */
import { type Git, mustGit } from './git.ts';
import type { GitPlace } from './git-environment.ts';
import { type GitSetting, remotesIn, settingOf } from './git-settings.ts';

export type Upstream = {
  remote: string;
  /** The ref at the remote, such as `refs/heads/main`. */
  ref: string;
  /** The local ref that follows it, such as `refs/remotes/origin/main`. */
  tracking: string;
  /** For messages, such as `origin/main`. */
  name: string;
};

/** `branch`: none when HEAD is detached. `noUpstream`: why there is no upstream. */
export type CurrentBranch = { branch?: string } & (
  | { upstream: Upstream }
  | { upstream?: undefined; noUpstream: string }
);

/** @param place its HEAD says which branch is the current one */
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

/** Settles with the upstream's latest commit. Throws a `GitError`, or the signal's reason. */
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

/** The latest commit of the upstream that has been fetched; `undefined` before the first fetch. */
export async function fetchedCommit(git: Git, place: GitPlace, upstream: Upstream): Promise<string | undefined> {
  const found = await git(place, ['rev-parse', '--verify', '--quiet', upstream.tracking], { timeoutMs: 10_000 });
  return found.ok ? found.text : undefined;
}

/** How `ours` relates to `theirs`. A shallow history may not hold their common ancestor: then they count as diverged. */
export async function relationOf(git: Git, place: GitPlace, ours: string, theirs: string): Promise<Relation> {
  if (ours === theirs) return 'same';
  const isAncestor = async (older: string, newer: string) =>
    (await git(place, ['merge-base', '--is-ancestor', older, newer], { timeoutMs: 10_000 })).ok;
  if (await isAncestor(ours, theirs)) return 'behind';
  return (await isAncestor(theirs, ours)) ? 'ahead' : 'diverged';
}
