/** The workspace itself, one run at a time: brought up to date, then worked on in place. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeFolder } from '../../processes/remove-folder.ts';
import type { SyncReport } from '../../task.ts';
import { type Git, GitError } from '../git/git.ts';
import { linksIn, refuseNewLinks } from '../git-links.ts';
import { readGitSettings } from '../git/git-settings.ts';
import { prepareStandIn } from '../git/mirror.ts';
import { createTurns } from '../mutex.ts';
import { preparing } from '../preparing.ts';
import { findRepository, type Repository } from '../git/repository.ts';
import { workInPlace } from './work-in-place.ts';
import { checkRequired, type StageSettings } from '../stage-settings.ts';
import { type Checkout, syncInPlace } from './sync-in-place.ts';
import { unknownWork } from '../changes/work.ts';
import { checkSameRepository } from '../links.ts';
import { type Lease, type Prepared, safeRunId, unavailable, type Workspaces } from '../workspaces.ts';

/** @param first the repository as it is at the server's start, if there is one */
export async function createShared(
  git: Git,
  workspaceDir: string,
  first: Repository | undefined,
  settings: StageSettings,
): Promise<Workspaces> {
  const turns = createTurns();
  const root = first?.root ?? workspaceDir;
  const links = first ? await linksIn(first.commonDir) : new Set<string>();

  const checkFolder = async (): Promise<void> => {
    if (first) checkSameRepository(first, await findRepository(workspaceDir));
  };

  /** Before anything of the server's git is run there: an agent that was here may have written in its `.git`. */
  const checkRepository = async (): Promise<void> => {
    if (!first) return;
    const now = await findRepository(workspaceDir);
    checkSameRepository(first, now);
    await refuseNewLinks(now?.commonDir ?? first.commonDir, links);
  };
  const baselines = join(settings.dataDir, 'baselines');
  await removeFolder(baselines);
  await mkdir(baselines, { recursive: true, mode: 0o700 });

  const lease = async (runId: string, signal: AbortSignal): Promise<Lease> => {
    const kept = join(baselines, safeRunId(runId));
    const endTurn = await turns.take(signal);
    const release = async () => {
      await removeFolder(kept);
      endTurn();
    };
    try {
      await preparing(checkRepository(), signal);
      const { checkout, sync } = await preparing(bringUpToDate(git, workspaceDir, settings, baselines, signal), signal);
      checkRequired(settings, sync);
      // The sync may have turned the folder into a link.
      await preparing(checkFolder(), signal);
      const work = checkout
        ? await preparing(workInPlace(checkout, kept, settings))
        : unknownWork('the workspace is not a git repository');
      signal.throwIfAborted();
      const { collect, deliver } = work;
      const given = { path: workspaceDir, root, sync, revision: sync.revision, reads: [], notes: [], collect, deliver };
      return { ...given, release, keep: () => keep(sync, release) };
    } catch (error) {
      await release();
      throw error;
    }
  };

  /** The folder is everybody's; what is kept is the agent that knows it as it was at this revision. */
  const keep = async (sync: SyncReport, release: () => Promise<void>): Promise<Prepared> => {
    await release();
    return preparedAt(sync.revision);
  };

  const preparedAt = (revision: string | undefined): Prepared => ({
    path: workspaceDir,
    root,
    reads: [],
    clean: true,
    async claim(runId, signal) {
      const claimed = await lease(runId, signal);
      if (revision === undefined || claimed.sync.revision === revision) return claimed;
      await claimed.release();
      return undefined;
    },
    discard: async () => {},
  });

  return {
    hides: [],
    lease,
    // The revision is not known before the first sync; a spare is young, and its agent reads files when it is asked.
    async prepare() {
      await preparing(checkFolder());
      return preparedAt(undefined);
    },
    keptPatch: async () => undefined,
    forgetPatch: async () => {},
    close: async () => {},
  };
}

/** `checkout`: none when the workspace is no repository, or one whose settings cannot be read. */
type UpToDate = { checkout?: Checkout; sync: SyncReport };

async function bringUpToDate(
  git: Git,
  workspaceDir: string,
  settings: StageSettings,
  temporaryFolder: string,
  signal: AbortSignal,
): Promise<UpToDate> {
  const repository = await findRepository(workspaceDir);
  if (!repository) return { sync: { state: 'off', detail: 'the workspace is not a git repository' } };
  if (repository.bare) throw unavailable('WORKSPACE_MODE=shared needs files, and the workspace is a bare repository');
  const began = performance.now();
  let result: UpToDate;
  try {
    const gitSettings = await readGitSettings(git, repository, settings.environment);
    const standIn = await prepareStandIn(repository, gitSettings, 'shared', settings.dataDir);
    const checkout = { git, repository, settings: gitSettings, standIn, temporaryFolder };
    if (settings.gitSync === 'off') return { checkout, sync: { state: 'off' } };
    result = { checkout, sync: await syncInPlace(checkout, { timeoutMs: settings.gitSyncTimeoutMs, signal }) };
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    result = { sync: { state: 'failed', detail: error.message } };
  }
  settings.onSync(result.sync, performance.now() - began);
  return result;
}
