/** Delivers what a run did as a branch: commits it on what the run began from, and pushes. Nothing is ever forced. */
import type { Delivery } from '../../task.ts';
import type { Baseline } from './baseline.ts';
import { type Environment, type Git, GitError, mustGit } from '../git/git.ts';
import { type GitSetting, settingOf } from '../git/git-settings.ts';
import { identityOf } from '../git/identity.ts';
import { clean, oneLine } from '../git/one-line.ts';
import type { Upstream } from '../git/upstream.ts';

export type DeliveryRequest = {
  /** Made at the remote, such as `agent/ID`. */
  branch: string;
  /** Of the commit. */
  message: string;
};

export type DeliveryTarget = {
  settings: { host: GitSetting[]; repository: GitSetting[] };
  upstream: Upstream | undefined;
  /** The commit that the upstream is at now, for telling conflicts. */
  upstreamHead(): Promise<string | undefined>;
  /** Milliseconds. */
  timeoutMs: number;
};

/**
 * The same work with the same message and date is the same commit, so that a delivery whose answer was lost can be
 * repeated.
 * @param tree of the work, from `snapshot`
 */
export async function deliverWork(
  git: Git,
  baseline: Baseline,
  tree: string,
  target: DeliveryTarget,
  request: DeliveryRequest & { at: Date },
): Promise<Delivery> {
  const { branch } = request;
  if (tree === baseline.tree) return { state: 'nothing_to_push', branch };
  let commit: string | undefined;
  try {
    const remote = remoteOf(target);
    const ref = `refs/heads/${branch}`;
    const named = await git(baseline.place, ['check-ref-format', ref], { timeoutMs: 10_000 });
    if (!named.ok) throw new GitError('git takes no branch of this name');
    commit = await commitTree(git, baseline, tree, target, request);
    await push(git, baseline, remote, `${commit}:${ref}`, target.timeoutMs);
    const conflicts = await conflictsOf(git, baseline, commit, target);
    return { state: 'pushed', branch, commit, ...(conflicts.length > 0 && { conflicts }) };
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return { state: 'failed', branch, ...(commit && { commit }), detail: error.message };
  }
}

/** The upstream's, or the only one there is. */
function remoteOf({ upstream, settings }: DeliveryTarget): string {
  const remotes = settings.repository.flatMap(({ name }) => /^remote\.(.+)\.url$/s.exec(name)?.[1] ?? []);
  const [only, ...others] = new Set(remotes);
  if (upstream) return upstream.remote;
  if (only === undefined) throw new GitError('the repository has no remote');
  if (others.length > 0 && settingOf(settings.repository, 'remote.origin.url') === undefined) {
    throw new GitError('the repository has several remotes, and the branch follows none');
  }
  return others.length > 0 ? 'origin' : only;
}

async function commitTree(
  git: Git,
  baseline: Baseline,
  tree: string,
  { settings }: DeliveryTarget,
  { message, at }: DeliveryRequest & { at: Date },
): Promise<string> {
  const date = `${Math.floor(at.getTime() / 1000)} +0000`;
  const environment: Environment = {
    ...identityOf([...settings.host, ...settings.repository]),
    GIT_AUTHOR_DATE: date,
    GIT_COMMITTER_DATE: date,
  };
  const parents = baseline.revision ? ['-p', baseline.revision] : [];
  const args = ['commit-tree', tree, ...parents, '-F', '-'];
  return await mustGit(git(baseline.place, args, { timeoutMs: 10_000, input: message, environment }));
}

async function push(git: Git, baseline: Baseline, remote: string, refspec: string, timeoutMs: number): Promise<void> {
  const options = ['--porcelain', '--no-verify', '--no-follow-tags', '--no-signed', '--recurse-submodules=no'];
  const result = await git(baseline.place, ['push', ...options, '--', remote, refspec], { timeoutMs });
  if (result.ok) return;
  // `! TAB from:to TAB [rejected] (why)`
  const rejected = /^!\t[^\t]*\t(.*)$/m.exec(result.text)?.[1];
  throw new GitError(rejected ? clean(`${rejected}${remoteWords(result.stderr)}`) : result.reason);
}

/** A remote that refuses says why in lines of its own. */
function remoteWords(stderr: string): string {
  const said = stderr.split('\n').flatMap((line) => /^remote:\s*(\S.*)$/.exec(line)?.[1] ?? []);
  const words = said.find((line) => /error|denied|reject|protected/i.test(line)) ?? said[0];
  return words ? `: ${oneLine(words)}` : '';
}

/** Files that a merge into the upstream would stop at. Git before 2.38 cannot tell, and then none are named. */
async function conflictsOf(git: Git, baseline: Baseline, commit: string, target: DeliveryTarget): Promise<string[]> {
  const theirs = await target.upstreamHead().catch(() => undefined);
  if (theirs === undefined) return [];
  const args = ['merge-tree', '--write-tree', '--name-only', '--no-messages', '-z', theirs, commit];
  const merge = await git(baseline.place, args, { timeoutMs: 60_000 });
  if (merge.code !== 1) return [];
  return merge.stdout.toString('utf8').split('\0').slice(1).filter(Boolean);
}
