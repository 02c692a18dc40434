/** The scratch mode, for a server without a workspace: each run gets an empty folder, which is removed after the run. */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createCleanup } from '../processes/cleanup.ts';
import { emptyTree, makeBaselinePlace } from './changes/baseline.ts';
import { createWork, type Work } from './changes/collect-and-deliver.ts';
import type { Git } from './git/git.ts';
import { prepareEmptyMirror } from './git/mirror.ts';
import {
  orUnavailable,
  type Prepared,
  type StageSettings,
  safeRunId,
  type WorkspaceLease,
  type Workspaces,
} from './workspaces.ts';

/** Creates the scratch mode, and removes the scratch folders that an earlier server process left behind. */
export async function createScratch(git: Git, settings: StageSettings): Promise<Workspaces> {
  const folder = join(settings.dataDir, 'scratch');
  const cleanup = createCleanup(settings.onProblem);
  await cleanup.empty(notRemoved, folder);

  const make = async (id: string): Promise<string> => {
    const path = join(folder, safeRunId(id));
    await orUnavailable(mkdir(path, { mode: 0o700 }));
    return path;
  };

  const remove = async (path: string): Promise<void> => {
    await cleanup.remove(notRemoved, path);
    await cleanup.remove(notRemoved, baselineOf(path));
  };

  const leaseOf = (path: string): WorkspaceLease => {
    // This is created on demand: most runs neither collect nor deliver their work, and then no git command is needed.
    let work: Promise<Work> | undefined;
    const workOfRun = () => {
      work ??= workIn(git, path, settings);
      return work;
    };
    return {
      path,
      sync: { state: 'off' },
      reads: [],
      collect: async () => (await workOfRun()).collect(),
      deliver: async (request) => (await workOfRun()).deliver(request),
      release: () => remove(path),
      keep: async () => preparedOf(path, (await readdir(path)).length === 0),
    };
  };

  const preparedOf = (path: string, clean: boolean): Prepared => ({
    path,
    reads: [],
    clean,
    lease: async () => leaseOf(path),
    discard: () => remove(path),
  });

  return {
    hides: [],
    undeliverable: async () => 'the server has no workspace, so a run has no repository',
    async lease(runId, signal) {
      signal.throwIfAborted();
      return leaseOf(await make(runId));
    },
    prepare: async (id) => preparedOf(await make(id), true),
    forgetPatch: async () => {},
    close: () => cleanup.close(),
  };
}

const notRemoved = 'the scratch folder of a run could not be removed';

/** Returns the folder of the baseline. Its name begins with a dot, so it never equals the name of a run's folder. */
function baselineOf(path: string): string {
  return path.replace(/([^/]+)$/, '.$1');
}

/** Compares the folder with an empty git tree, so every file in the folder is the run's work. */
async function workIn(git: Git, path: string, settings: StageSettings): Promise<Work> {
  const mirror = await prepareEmptyMirror(settings.dataDir);
  const place = await makeBaselinePlace(baselineOf(path), { ...mirror.place, workTree: path }, mirror.objects);
  const baseline = { place, tree: await emptyTree(git, place), owned: true, convertsAll: false };
  return createWork(git, baseline, settings.changeLimits, { impossible: 'the run had no repository' });
}
