/**
 * Delivers a run's changes as a branch: commits them on top of the commit on which the run began, and pushes the branch
 * without force.
 */

import { rm } from 'node:fs/promises';
import { redact } from '../../redact.ts';
import type { Delivery } from '../../task.ts';
import { listed } from '../../truncate.ts';
import { partsOf, shownPath } from '../git/byte-path.ts';
import { errorLine, type Git, GitError, mustGit, quick } from '../git/git.ts';
import type { Environment } from '../git/git-environment.ts';
import { type GitSettings, identityIn, remotesIn } from '../git/git-settings.ts';
import type { Upstream } from '../git/upstream.ts';
import type { Baseline } from './baseline.ts';
import { summaryOf } from './omissions.ts';
import { type FileChange, listChanges } from './patch.ts';
import type { Snapshot } from './snapshot.ts';
import { addEntries } from './store-files.ts';

export type DeliveryRequest = {
  /** The branch to create at the remote, such as `agent/ID`. */
  branch: string;
  /** The commit message. */
  message: string;
};

export type DeliveryTarget = {
  settings: GitSettings;
  upstream: Upstream | undefined;
  /** Returns the latest known commit of the upstream. The work is checked for merge conflicts with this commit. */
  upstreamCommit(): Promise<string | undefined>;
  /** The time limit of a sync, in milliseconds. A push has the same limit, but at least one minute. */
  syncTimeoutMs: number;
};

/**
 * Commits the run's work and pushes it as a branch. The same work, message and date give the same commit, so a delivery
 * can be repeated if the remote's answer was lost.
 * @param taken the current files
 */
export async function deliverWork(
  git: Git,
  baseline: Baseline,
  taken: Snapshot,
  target: DeliveryTarget,
  request: DeliveryRequest & { at: Date },
): Promise<Delivery> {
  const { branch } = request;
  const lacks = summaryOf(taken.omitted);
  if (taken.tree === baseline.tree) {
    return {
      state: 'nothing_to_push',
      branch,
      ...(lacks && { detail: `some of the work cannot be in a branch: ${lacks}` }),
    };
  }
  let commit: string | undefined;
  try {
    const remote = remoteOf(target.settings, target.upstream);
    const ref = `refs/heads/${branch}`;
    const named = await git(baseline.place, ['check-ref-format', ref], quick);
    if (!named.ok) throw new GitError('git does not allow this name for a branch');
    commit = await commitTree(git, baseline, await treeToCommit(git, baseline, taken), target, request);
    await push(git, baseline, remote, `${commit}:${ref}`, Math.max(target.syncTimeoutMs, 60_000));
    const conflicts = await conflictsOf(git, baseline, commit, target);
    return {
      state: 'pushed',
      branch,
      commit,
      ...(conflicts.length > 0 && { conflicts }),
      ...(lacks && { detail: `the branch lacks some of the work: ${lacks}` }),
    };
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return { state: 'failed', branch, ...(commit && { commit }), detail: error.message };
  }
}

/**
 * Returns the remote of the upstream. Without an upstream, returns the repository's only remote, or else `origin`. Throws
 * a `GitError` if there is none.
 */
export function remoteOf(settings: GitSettings, upstream: Upstream | undefined): string {
  if (upstream) return upstream.remote;
  const remotes = remotesIn(settings.repository);
  const [only] = remotes;
  if (only === undefined) throw new GitError('the repository has no remote');
  if (remotes.length === 1) return only;
  if (remotes.includes('origin')) return 'origin';
  throw new GitError('the repository has several remotes, none is called origin, and the branch has no upstream');
}

/**
 * Returns the tree of the new commit: the tree of the commit on which the run began, with the run's changes. Throws a
 * `GitError` if a changed file is stored through a filter: its bytes would replace the pointer or the ciphertext.
 */
async function treeToCommit(git: Git, baseline: Baseline, { tree, filtered }: Snapshot): Promise<string> {
  const { committedTree } = baseline;
  if (filtered.length === 0 && committedTree === undefined) return tree;
  const changes = (await listChanges(git, baseline, tree)).map(({ change }) => change);
  const stored = new Set(filtered);
  const refused = changes.flatMap(({ after }) => (after && stored.has(after.path) ? shownPath(after.path) : []));
  if (refused.length > 0) {
    throw new GitError(
      `git stores changed files through a filter, such as Git LFS, which the server does not run: ${listed(refused, 5)}`,
    );
  }
  return committedTree === undefined ? tree : applyTo(git, baseline, committedTree, changes);
}

async function applyTo(git: Git, baseline: Baseline, tree: string, changes: FileChange[]): Promise<string> {
  const place = { ...baseline.place, indexFile: `${baseline.place.indexFile}.commit` };
  const limits = { timeoutMs: 60_000 };
  try {
    await mustGit(git(place, ['read-tree', tree], limits));
    const removed = changes.flatMap(({ before, after }) =>
      before && before.path !== after?.path ? { ...before, mode: '0' } : [],
    );
    await addEntries(git, place, [...removed, ...changes.flatMap(({ after }) => after ?? [])]);
    return await mustGit(git(place, ['write-tree', '--missing-ok'], limits));
  } finally {
    await rm(place.indexFile, { force: true });
  }
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
    ...identityIn(settings),
    GIT_AUTHOR_DATE: date,
    GIT_COMMITTER_DATE: date,
  };
  const parents = baseline.revision ? ['-p', baseline.revision] : [];
  const args = ['commit-tree', tree, ...parents, '-F', '-'];
  // Git refuses a message that holds a NUL.
  const input = message.replaceAll('\0', '\uFFFD');
  return await mustGit(git(baseline.place, args, { ...quick, input, environment }));
}

async function push(git: Git, baseline: Baseline, remote: string, refspec: string, timeoutMs: number): Promise<void> {
  const options = ['--porcelain', '--no-verify', '--no-follow-tags', '--no-signed', '--recurse-submodules=no'];
  const result = await git(baseline.place, ['push', ...options, '--', remote, refspec], { timeoutMs });
  if (result.ok) return;
  // Git prints a rejected ref as `! TAB from:to TAB [rejected] (why)`.
  const rejected = /^!\t[^\t]*\t(.*)$/m.exec(result.text)?.[1];
  throw new GitError(
    rejected ? redact(`${rejected}${remoteMessage(result.stderr)}`, { fileNames: true }) : result.reason,
  );
}

/** Returns the remote's reason for a refusal. Git prints the remote's messages on lines that begin with `remote:`. */
function remoteMessage(stderr: string): string {
  const lines = stderr.split('\n').flatMap((line) => /^remote:\s*(\S.*)$/.exec(line)?.[1] ?? []);
  const reason = lines.find((line) => /error|denied|reject|protected/i.test(line)) ?? lines[0];
  return reason ? `: ${errorLine(reason)}` : '';
}

/**
 * Returns the files in which a merge into the upstream would conflict. Returns no files with git before 2.38, which
 * cannot find them.
 */
async function conflictsOf(git: Git, baseline: Baseline, commit: string, target: DeliveryTarget): Promise<string[]> {
  const theirs = await target.upstreamCommit().catch(() => undefined);
  if (theirs === undefined) return [];
  const args = ['merge-tree', '--write-tree', '--name-only', '--no-messages', '-z', theirs, commit];
  const merge = await git(baseline.place, args, { timeoutMs: 60_000 });
  if (merge.code !== 1) return [];
  return partsOf(merge.stdout).slice(1).filter(Boolean).map(shownPath);
}
