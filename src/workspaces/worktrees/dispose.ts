/** Disposes of worktrees: keeps unsaved work as a patch in the data folder, then removes the worktree's folder. */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { removeFolder } from '../../processes/remove-folder.ts';
import type { Baseline } from '../changes/baseline.ts';
import { writePatch } from '../changes/changes.ts';
import { isFolder, snapshot } from '../changes/snapshot.ts';
import type { Git } from '../git/git.ts';
import { replaceFile } from '../git/mirror.ts';
import type { KeptPatch, StageSettings } from '../workspaces.ts';
import { relocated, type Worktree } from './make-worktree.ts';

export type Disposal = {
  /**
   * Renames the worktree's folder at once, so that its name is free. The rest is done in the background.
   * @param saved whether all of the work is saved elsewhere, so that no patch is needed
   */
  dispose(folder: string, saved: boolean): Promise<void>;
  /** Disposes of the worktrees that an earlier server process left behind, in the background. */
  disposeLeftovers(): Promise<void>;
  /** Removes the patch of a run, if there is one. */
  forgetPatch(runId: string): Promise<void>;
  /** Settles when all disposals have ended. */
  idle(): Promise<void>;
};

const recordName = 'run.json';

type RunRecord = { runId: string; baseline: Baseline };

/**
 * Records which run uses the worktree. After a crash, the next server process reads this record and keeps the work
 * under the run's id.
 */
export async function recordRun(runId: string, { folder, baseline }: Worktree): Promise<void> {
  const record: RunRecord = { runId, baseline };
  await replaceFile(join(folder, recordName), JSON.stringify(record));
}

/** @param root the folder that holds all worktrees */
export function createDisposal(
  git: Git,
  root: string,
  { dataDir, keepPatchesMs, onKept, onProblem }: StageSettings,
): Disposal {
  const patches = join(dataDir, 'patches');
  const patchOf = (runId: string) => join(patches, `${runId}.patch`);
  let last: Promise<void> = removeOldPatches(patches, keepPatchesMs).catch((error: unknown) =>
    onProblem('old patches could not be removed', error),
  );

  /** Does the steps one after the other, because removing thousands of files should not slow down running agents. */
  function later(step: () => Promise<void>): void {
    last = last.then(step).catch((error: unknown) => onProblem('a worktree could not be removed; it stays', error));
  }

  async function keepAndRemove(folder: string, saved: boolean): Promise<void> {
    const record = saved ? undefined : await readRecord(folder);
    // If this throws, the folder stays, and the server tries again at its next start.
    if (record) await keepWork(record.runId, relocated(record.baseline, folder));
    await removeFolder(folder);
  }

  async function keepWork(runId: string, baseline: Baseline): Promise<void> {
    if (!(await isFolder(baseline.place.workTree))) return;
    const tree = await snapshot(git, baseline);
    if (tree !== baseline.tree) onKept(runId, await keepPatch(runId, baseline, tree));
  }

  /** Writes the run's patch, and replaces an older patch of the same run. */
  async function keepPatch(runId: string, baseline: Baseline, tree: string): Promise<KeptPatch> {
    await mkdir(patches, { recursive: true, mode: 0o700 });
    const path = patchOf(runId);
    await writePatch(git, baseline, tree, `${path}.part`);
    await rename(`${path}.part`, path);
    return { path, bytes: (await stat(path)).size };
  }

  const newName = () => join(root, `.disposed-${randomUUID()}`);

  return {
    async dispose(folder, saved) {
      const disposed = newName();
      // An agent without a sandbox may have removed the folder.
      if (!(await isFolder(folder))) return;
      await rename(folder, disposed);
      later(() => keepAndRemove(disposed, saved));
    },
    async disposeLeftovers() {
      for (const name of await readdir(root)) {
        const disposed = newName();
        await rename(join(root, name), disposed);
        later(() => keepAndRemove(disposed, false));
      }
    },
    forgetPatch: (runId) => rm(patchOf(runId), { force: true }),
    async idle() {
      for (let seen: unknown; seen !== last; ) {
        seen = last;
        await last;
      }
    },
  };
}

async function removeOldPatches(folder: string, keepMs: number): Promise<void> {
  const oldest = Date.now() - keepMs;
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    const modified = (await stat(path).catch(() => undefined))?.mtimeMs;
    if (modified !== undefined && modified < oldest) await rm(path, { force: true });
  }
}

/** Reads what `recordRun` wrote. Returns `undefined` if no run has used this folder. */
async function readRecord(folder: string): Promise<RunRecord | undefined> {
  const text = await readFile(join(folder, recordName), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : JSON.parse(text);
}
