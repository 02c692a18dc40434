/** The scratch mode, for a server without a workspace: each run gets an empty folder, which is removed after the run. */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeFolder } from '../processes/remove-folder.ts';
import { emptyTree, makeBaselinePlace } from './changes/baseline.ts';
import { createWork, type Work } from './changes/work.ts';
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

/** Removes the scratch folders that an earlier server did not remove. */
export async function createScratch(git: Git, settings: StageSettings): Promise<Workspaces> {
  const folder = join(settings.dataDir, 'scratch');
  await removeFolder(folder);
  await mkdir(folder, { recursive: true, mode: 0o700 });

  const make = async (id: string): Promise<string> => {
    const path = join(folder, safeRunId(id));
    await orUnavailable(mkdir(path, { mode: 0o700 }));
    return path;
  };

  const leaseOf = (path: string): WorkspaceLease => {
    // Made on demand: the work of most runs is neither collected nor delivered, and then no git is needed.
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
    async lease(runId, signal) {
      signal.throwIfAborted();
      return leaseOf(await make(runId));
    },
    prepare: async (id) => preparedOf(await make(id), true),
    forgetPatch: async () => {},
    close: async () => {},
  };
}

/** Begins with a dot, so it never has the name of a run's folder. */
function baselineOf(path: string): string {
  return path.replace(/([^/]+)$/, '.$1');
}

async function remove(path: string): Promise<void> {
  await removeFolder(path);
  await removeFolder(baselineOf(path));
}

/** Every file in the folder is the work of the run. */
async function workIn(git: Git, path: string, settings: StageSettings): Promise<Work> {
  const mirror = await prepareEmptyMirror(settings.dataDir);
  const place = await makeBaselinePlace(baselineOf(path), { ...mirror.place, workTree: path }, mirror.objects);
  const baseline = { place, tree: await emptyTree(git, place), owned: true };
  return createWork(git, baseline, settings.changeLimits, { impossible: 'the run had no repository' });
}
