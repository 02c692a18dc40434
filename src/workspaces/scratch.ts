/** An empty folder per run, for a server without a workspace: made for it, removed after it. */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeFolder } from '../processes/remove-folder.ts';
import { makePlace } from './changes/baseline.ts';
import type { Git } from './git/git.ts';
import { prepareEmptyStandIn } from './git/mirror.ts';
import { preparing } from './preparing.ts';
import type { StageSettings } from './stage-settings.ts';
import { createWork, type Work } from './changes/work.ts';
import { type Lease, type Prepared, safeRunId, type Workspaces } from './workspaces.ts';
import { emptyTree } from './worktrees/make-worktree.ts';

/** Its folders in `dataDir` belong to this stage: what a dead server left there is removed. */
export async function createScratch(git: Git, settings: StageSettings): Promise<Workspaces> {
  const folder = join(settings.dataDir, 'scratch');
  await removeFolder(folder);
  await mkdir(folder, { recursive: true, mode: 0o700 });

  const make = async (id: string): Promise<string> => {
    const path = join(folder, safeRunId(id));
    await preparing(mkdir(path, { mode: 0o700 }));
    return path;
  };

  const leaseOf = (path: string): Lease => {
    // Most runs are never asked what they did, and need no git at all.
    let work: Promise<Work> | undefined;
    const whatWasDone = () => {
      work ??= workIn(git, path, settings);
      return work;
    };
    return {
      path,
      sync: { state: 'off' },
      revision: undefined,
      reads: [],
      notes: [],
      collect: async () => (await whatWasDone()).collect(),
      deliver: async (request) => (await whatWasDone()).deliver(request),
      release: () => remove(path),
      keep: async () => preparedOf(path, (await readdir(path)).length === 0),
    };
  };

  const preparedOf = (path: string, clean: boolean): Prepared => ({
    path,
    reads: [],
    clean,
    claim: async () => leaseOf(path),
    discard: () => remove(path),
  });

  return {
    hides: [],
    async lease(runId, signal) {
      signal.throwIfAborted();
      return leaseOf(await make(runId));
    },
    prepare: async (id) => preparedOf(await make(id), true),
    keptPatch: async () => undefined,
    forgetPatch: async () => {},
    close: async () => {},
  };
}

/** Begins with a dot, as no run's folder does. */
function baselineOf(path: string): string {
  return path.replace(/([^/]+)$/, '.$1');
}

async function remove(path: string): Promise<void> {
  await removeFolder(path);
  await removeFolder(baselineOf(path));
}

/** All that is in the folder was made by the run. */
async function workIn(git: Git, path: string, settings: StageSettings): Promise<Work> {
  const standIn = await prepareEmptyStandIn(settings.dataDir);
  const place = await makePlace(baselineOf(path), { ...standIn.place, workTree: path }, standIn.objects);
  const baseline = { place, tree: await emptyTree(git, place), owned: true };
  return createWork(git, baseline, settings.bounds, { whyNot: 'the run had no repository' });
}
