/** The branch of a remote that the current branch follows: which it is, why there is none, and how it is fetched. */
import { type Git, type GitPlace, mustGit } from './git.ts';
import { type GitSetting, settingOf } from './git-settings.ts';

export type Upstream = {
  remote: string;
  /** Such as `refs/heads/main`, at the remote. */
  ref: string;
  /** Such as `refs/remotes/origin/main`, here. */
  tracking: string;
  /** For people: `origin/main`. */
  name: string;
};

/** Where the repository stands: on a branch with an upstream, or without, and why. */
export type Standing = { branch?: string; upstream?: Upstream; whyNone: string };

/** @param place whose HEAD counts */
export async function findStanding(git: Git, place: GitPlace, settings: GitSetting[]): Promise<Standing> {
  const head = await git(place, ['symbolic-ref', '--quiet', 'HEAD'], { timeoutMs: 10_000 });
  if (!head.ok) return { whyNone: 'the workspace is at a detached head' };
  const branch = head.text.replace(/^refs\/heads\//, '');
  const found = findUpstream(settings, branch);
  return typeof found === 'string' ? { branch, whyNone: found } : { branch, upstream: found, whyNone: '' };
}

function findUpstream(settings: GitSetting[], branch: string): Upstream | string {
  if (!settings.some(({ name }) => /^remote\..+\.url$/s.test(name))) return 'the repository has no remote';
  const remote = settingOf(settings, `branch.${branch}.remote`);
  const ref = settingOf(settings, `branch.${branch}.merge`);
  if (!remote || !ref?.startsWith('refs/heads/')) return `the branch ${branch} has no upstream`;
  if (remote === '.') return `the branch ${branch} follows a local branch`;
  if (settingOf(settings, `remote.${remote}.url`) === undefined) return `the remote of the branch ${branch} is unknown`;
  const name = `${remote}/${ref.slice('refs/heads/'.length)}`;
  return { remote, ref, name, tracking: `refs/remotes/${name}` };
}

/** Settles with the commit that the upstream is at. Throws a `GitError`. */
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

/** Of `ours` to `theirs`. In a shallow history that does not reach the fork, they count as diverged. */
export async function relationOf(git: Git, place: GitPlace, ours: string, theirs: string): Promise<Relation> {
  if (ours === theirs) return 'same';
  const isAncestor = async (older: string, newer: string) =>
    (await git(place, ['merge-base', '--is-ancestor', older, newer], { timeoutMs: 10_000 })).ok;
  if (await isAncestor(ours, theirs)) return 'behind';
  return (await isAncestor(theirs, ours)) ? 'ahead' : 'diverged';
}
