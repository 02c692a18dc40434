/**
 * What runs in worktrees stand on: the head of the upstream of the branch that the workspace is on, fetched into the
 * server's own stand-in. The workspace itself is only read.
 */
import type { SyncReport } from '../../task.ts';
import { type Git, GitError, type GitPlace, mustGit } from '../git/git.ts';
import { type GitSetting, readGitSettings } from '../git/git-settings.ts';
import { prepareStandIn, type StandIn } from '../git/mirror.ts';
import type { Repository } from '../git/repository.ts';
import type { StageSettings } from '../stage-settings.ts';
import { fetchUpstream, findStanding, relationOf, type Upstream } from '../git/upstream.ts';

export type SyncedHead = {
  report: SyncReport;
  /** None in a repository without commits. */
  revision: string | undefined;
  branch: string | undefined;
  upstream: Upstream | undefined;
  /** From the top of the repository to the workspace. */
  prefix: string;
  standIn: StandIn;
  /** The workspace's own repository, for reading refs. */
  source: GitPlace;
  settings: { host: GitSetting[]; repository: GitSetting[] };
};

/** Whether what was made of the one serves for the other. */
export function sameHead(one: SyncedHead, other: SyncedHead): boolean {
  const shown = ({ revision, branch, standIn, settings }: SyncedHead) =>
    JSON.stringify([revision, branch, standIn.objects, settings.repository]);
  return shown(one) === shown(other);
}

const quick = { timeoutMs: 10_000 };

/** Throws an Error when the repository cannot be read; a failed fetch is only reported. */
export async function findSyncedHead(git: Git, repository: Repository, settings: StageSettings): Promise<SyncedHead> {
  const gitSettings = await readGitSettings(git, repository, settings.environment);
  const standIn = await prepareStandIn(repository, gitSettings, 'borrowed', settings.dataDir);
  const source: GitPlace = { gitDir: repository.gitDir, hostSettings: standIn.place.hostSettings };
  const [local, standing] = await Promise.all([
    git(source, ['rev-parse', '--verify', '--quiet', 'HEAD'], quick),
    findStanding(git, source, gitSettings.repository),
  ]);
  const ours = local.ok ? local.text : undefined;
  const head = {
    branch: standing.branch,
    upstream: standing.upstream,
    prefix: repository.prefix,
    standIn,
    source,
    settings: gitSettings,
  };
  if (settings.gitSync === 'off') return { ...head, revision: ours, report: { state: 'off', revision: ours } };
  if (!standing.upstream) {
    return { ...head, revision: ours, report: { state: 'off', detail: standing.whyNone, revision: ours } };
  }
  const { report, revision } = await followUpstream(git, source, standIn, standing.upstream, ours, settings);
  return { ...head, revision, report: { ...report, ...(revision && { revision }) } };
}

type Followed = { report: SyncReport; revision: string | undefined };

async function followUpstream(
  git: Git,
  source: GitPlace,
  standIn: StandIn,
  upstream: Upstream,
  ours: string | undefined,
  settings: StageSettings,
): Promise<Followed> {
  const limits = { timeoutMs: settings.gitSyncTimeoutMs };
  const before = await lastKnown(git, source, standIn, upstream);
  try {
    const theirs = await fetchUpstream(git, standIn.place, upstream, limits).catch(async (error: unknown) => {
      if (!(await dropBrokenRefs(git, standIn))) throw error;
      return fetchUpstream(git, standIn.place, upstream, limits);
    });
    const chosen = await choose(git, standIn, upstream, ours, theirs);
    const state = before === theirs ? 'unchanged' : 'synced';
    return { revision: chosen.revision, report: { state, ...(chosen.detail && { detail: chosen.detail }) } };
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    const known = await lastKnown(git, source, standIn, upstream);
    const revision = known ? (await choose(git, standIn, upstream, ours, known)).revision : ours;
    return { revision, report: { state: 'failed', detail: error.message } };
  }
}

/**
 * A workspace that was made anew, or cleaned up, no longer lends the objects that our refs lead to, and git refuses to
 * fetch then. Answers whether there were such refs.
 */
async function dropBrokenRefs(git: Git, { place }: StandIn): Promise<boolean> {
  const refs = await mustGit(git(place, ['for-each-ref', '--format=%(refname)'], quick));
  const input = refs ? `${refs}\n` : '';
  const found = await mustGit(git(place, ['cat-file', '--batch-check'], { ...quick, input }));
  const broken = found.split('\n').flatMap((line) => (/ missing$/.test(line) ? line.replace(/ missing$/, '') : []));
  for (const ref of broken) await mustGit(git(place, ['update-ref', '-d', ref], quick));
  return broken.length > 0;
}

/** What we fetched before, or else what the user did. */
async function lastKnown(
  git: Git,
  source: GitPlace,
  standIn: StandIn,
  upstream: Upstream,
): Promise<string | undefined> {
  for (const place of [standIn.place, source]) {
    const found = await git(place, ['rev-parse', '--verify', '--quiet', upstream.tracking], quick);
    if (found.ok) return found.text;
  }
  return undefined;
}

/**
 * Local commits are built upon when they contain all of the upstream. When both have gone on, the upstream counts: its
 * head is what everybody else sees, and a rebase is for the person whose commits they are.
 */
async function choose(git: Git, standIn: StandIn, upstream: Upstream, ours: string | undefined, theirs: string) {
  const relation = ours === undefined ? 'behind' : await relationOf(git, standIn.place, ours, theirs);
  switch (relation) {
    case 'same':
    case 'behind':
      return { revision: theirs };
    case 'ahead':
      return { revision: ours, detail: `local commits ahead of ${upstream.name} are included` };
    case 'diverged':
      return { revision: theirs, detail: `local commits that ${upstream.name} does not have are left out` };
  }
}
