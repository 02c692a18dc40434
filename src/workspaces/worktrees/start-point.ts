/**
 * Finds the commit on which runs in worktrees begin. Normally this is the latest commit of the current branch's
 * upstream, fetched into the server's own mirror. The workspace itself is only read.
 */
import type { SyncReport } from '../../task.ts';
import { type Git, GitError, mustGit, quick } from '../git/git.ts';
import type { GitPlace } from '../git/git-environment.ts';
import { forOwnFolder, type GitSettings, readGitSettings } from '../git/git-settings.ts';
import { type Mirror, prepareMirror } from '../git/mirror.ts';
import type { Repository } from '../git/repository.ts';
import {
  deleteRefs,
  fetchedCommit,
  fetchUpstream,
  findCurrentBranch,
  keepOnly,
  knownCommits,
  relationOf,
  type Upstream,
} from '../git/upstream.ts';
import type { StageSettings } from '../workspaces.ts';
import { type FileFacts, readFileFacts } from './file-facts.ts';

export type StartPoint = {
  report: SyncReport;
  /** The commit on which runs begin. Undefined if the repository has no commits. */
  revision: string | undefined;
  /** The current branch of the workspace. Undefined if HEAD is detached. */
  branch: string | undefined;
  upstream: Upstream | undefined;
  files: FileFacts;
  /** The path from the top of the repository to the workspace. */
  prefix: string;
  mirror: Mirror;
  /** The workspace's own repository, from which refs are read. */
  source: GitPlace;
  settings: GitSettings;
};

/** Returns whether a worktree that was made for one start point can be used for the other one too. */
export function sameStartPoint(one: StartPoint, other: StartPoint): boolean {
  const visible = ({ revision, branch, mirror, settings }: StartPoint) =>
    JSON.stringify([revision, branch, mirror.objects, settings.repository]);
  return visible(one) === visible(other);
}

type Choice = { revision: string | undefined; report: SyncReport };

/**
 * Syncs, and returns the start point for the next runs. A failed fetch is only reported. Throws a `GitError` if the
 * repository cannot be read.
 * @param last the previous start point; its notes are reused if the revision is the same
 */
export async function findStartPoint(
  git: Git,
  repository: Repository,
  settings: StageSettings,
  last?: StartPoint,
): Promise<StartPoint> {
  const gitSettings = forOwnFolder(await readGitSettings(git, repository, settings.environment));
  const mirror = await prepareMirror(repository, gitSettings, 'borrowed', settings.dataDir);
  const source: GitPlace = { gitDir: repository.gitDir, hostSettings: mirror.place.hostSettings };
  const [head, current] = await Promise.all([
    git(source, ['rev-parse', '--verify', '--quiet', 'HEAD'], quick),
    findCurrentBranch(git, source, gitSettings.repository),
  ]);
  const { branch, upstream } = current;
  const ours = head.ok ? head.text : undefined;
  const choose = async (): Promise<Choice> => {
    if (settings.gitSync === 'off') return { revision: ours, report: { state: 'off' } };
    if (!current.upstream) return { revision: ours, report: { state: 'off', detail: current.noUpstream } };
    const places = { source, mirror: mirror.place, upstream: current.upstream };
    return followUpstream(git, places, ours, settings.gitSyncTimeoutMs);
  };
  const { revision, report } = await choose();
  const files = last && last.revision === revision ? last.files : await readFileFacts(git, mirror, revision);
  const notes = [...(report.notes ?? []), ...files.notes];
  const complete = { ...report, ...(revision && { revision }), ...(notes.length > 0 && { notes }) };
  const { prefix } = repository;
  return { report: complete, revision, branch, upstream, files, prefix, mirror, source, settings: gitSettings };
}

/** `source` is the workspace's own repository. */
type Places = { source: GitPlace; mirror: GitPlace; upstream: Upstream };

async function followUpstream(git: Git, places: Places, ours: string | undefined, timeoutMs: number): Promise<Choice> {
  const { mirror, upstream } = places;
  const before = await lastFetched(git, places);
  const known = (await Promise.all([places.source, mirror].map((place) => knownCommits(git, place, upstream)))).flat();
  try {
    await keepOnly(git, mirror, upstream.tracking);
    const theirs = await fetchUpstream(git, mirror, upstream, { timeoutMs }).catch(async (error: unknown) => {
      if (!(await deleteBrokenRefs(git, mirror))) throw error;
      return fetchUpstream(git, mirror, upstream, { timeoutMs });
    });
    const state = before === theirs ? 'unchanged' : 'synced';
    return await chooseCommit(git, places, { ours, theirs, known }, { state });
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    const report: SyncReport = { state: 'failed', detail: error.message };
    const theirs = await lastFetched(git, places);
    return theirs ? chooseCommit(git, places, { ours, theirs, known }, report) : { revision: ours, report };
  }
}

/**
 * Deletes the mirror's refs whose objects are missing, because git refuses to fetch while there are such refs. The
 * workspace lends its objects to the mirror, so objects can be missing after the workspace was cloned anew or cleaned
 * up. Returns whether there were such refs.
 */
async function deleteBrokenRefs(git: Git, mirror: GitPlace): Promise<boolean> {
  const refs = await mustGit(git(mirror, ['for-each-ref', '--format=%(refname)'], quick));
  const input = refs ? `${refs}\n` : '';
  const found = await mustGit(git(mirror, ['cat-file', '--batch-check'], { ...quick, input }));
  const broken = found.split('\n').flatMap((line) => (/ missing$/.test(line) ? line.replace(/ missing$/, '') : []));
  await deleteRefs(git, mirror, broken);
  return broken.length > 0;
}

/** Returns the upstream's commit that the server fetched last, or else the one that the user fetched last. */
async function lastFetched(git: Git, { source, mirror, upstream }: Places): Promise<string | undefined> {
  return (await fetchedCommit(git, mirror, upstream)) ?? (await fetchedCommit(git, source, upstream));
}

/**
 * Chooses the commit on which runs begin. Runs begin on local commits only if these contain the whole upstream. If both
 * sides have new commits, runs begin on the upstream: everybody else sees the upstream, and only the author of the
 * local commits should rebase them. The same is true if the local commits follow commits that the upstream has dropped.
 */
async function chooseCommit(
  git: Git,
  { mirror, upstream }: Places,
  { ours, theirs, known }: { ours: string | undefined; theirs: string; known: string[] },
  report: SyncReport,
): Promise<Choice> {
  const kind = ours === undefined ? 'behind' : (await relationOf(git, mirror, ours, theirs, known)).kind;
  switch (kind) {
    case 'same':
    case 'behind':
    case 'rewritten':
      return { revision: theirs, report };
    case 'ahead':
      return {
        revision: ours,
        report: { ...report, notes: [`Local commits ahead of ${upstream.name} are included.`] },
      };
    case 'diverged': {
      const note = `Local commits are left out, because ${upstream.name} has other new commits.`;
      return { revision: theirs, report: { ...report, notes: [note] } };
    }
  }
}
