/**
 * Keeps the work of runs that was not collected: a patch, and a folder with the files that a patch cannot hold. Both are
 * in the data folder, under the id of the run.
 */
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { removeFolder } from '../../processes/remove-folder.ts';
import type { Baseline } from '../changes/baseline.ts';
import { insideOf, keepInside } from '../changes/inside.ts';
import { isLost } from '../changes/omissions.ts';
import { writePatch } from '../changes/patch.ts';
import type { Snapshot } from '../changes/snapshot.ts';
import { pathBelow } from '../git/byte-path.ts';
import type { Git } from '../git/git.ts';
import type { KeptPatch, StageSettings } from '../workspaces.ts';

export type KeptWork = {
  /**
   * Keeps the work, and replaces older work of the same run. Moves files out of the worktree. Returns undefined if the
   * run changed nothing.
   */
  keep(runId: string, baseline: Baseline, taken: Snapshot): Promise<KeptPatch | undefined>;
  /** Removes the kept work of a run, if there is any. */
  forget(runId: string): Promise<void>;
  /** Removes work that has been kept for long enough, and what a dead server left unfinished. */
  removeOld(): Promise<void>;
};

export function createKeptWork(git: Git, { dataDir, keepPatchesMs }: StageSettings): KeptWork {
  const folder = join(dataDir, 'patches');
  const patchOf = (runId: string) => join(folder, `${runId}.patch`);
  const filesOf = (runId: string) => join(folder, `${runId}.files`);

  return {
    async keep(runId, baseline, { tree, omitted }) {
      const lost = omitted.filter(isLost);
      if (tree === baseline.tree && lost.length === 0) return undefined;
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const path = patchOf(runId);
      try {
        await writePatch(git, baseline, tree, `${path}.part`, { renames: false });
        await rename(`${path}.part`, path);
      } finally {
        await rm(`${path}.part`, { force: true });
      }
      const paths = await keepInside(
        baseline.place.workTree,
        lost.map(({ path }) => path),
      );
      // A folder comes before what is in it, and is moved with it.
      for (const each of paths.sort()) await move(baseline.place.workTree, filesOf(runId), each);
      return { path, bytes: (await stat(path)).size };
    },
    async forget(runId) {
      await rm(patchOf(runId), { force: true });
      await removeFolder(filesOf(runId));
    },
    async removeOld() {
      const oldest = Date.now() - keepPatchesMs;
      for (const name of await readdir(folder).catch(() => [])) {
        const path = join(folder, name);
        const modified = (await stat(path).catch(() => undefined))?.mtimeMs;
        if (modified !== undefined && (modified < oldest || name.endsWith('.part'))) await removeFolder(path);
      }
    },
  };
}

/** Moves a file or a folder to the same place below another folder. Does nothing if it was moved before. */
async function move(from: string, to: string, path: string): Promise<void> {
  const target = pathBelow(to, path);
  const above = target.subarray(0, target.lastIndexOf('/'));
  await mkdir(above, { recursive: true, mode: 0o700 });
  // A link may be among what was moved there before.
  if (!(await insideOf(to)(path))) throw new Error('Cannot keep a file: a link is in its way');
  const moving = () => rename(pathBelow(from, path), target);
  await moving().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return;
    if (!inTheWay.has(error.code ?? '')) throw error;
    await rm(target, { recursive: true, force: true });
    await moving();
  });
}

/** The errors of `rename` when older work of the same run is at the new place. */
const inTheWay = new Set(['ENOTEMPTY', 'EEXIST', 'EISDIR', 'ENOTDIR']);
