/** Work that nobody has collected is kept as a patch in the data folder when its worktree goes. */
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Baseline } from '../changes/baseline.ts';
import { writePatch } from '../changes/changes.ts';
import type { Git } from '../git/git.ts';

export type KeptPatch = { path: string; bytes: number };

export type KeptPatches = {
  /** Writes the whole patch; one of the same run that is there already is replaced. */
  keep(runId: string, git: Git, baseline: Baseline, tree: string): Promise<KeptPatch>;
  find(runId: string): Promise<KeptPatch | undefined>;
  remove(runId: string): Promise<void>;
  /** Removes what is older than the limit; answers how many there were. */
  expire(): Promise<number>;
};

export function createKeptPatches(dataDir: string, keepMs: number): KeptPatches {
  const folder = join(dataDir, 'patches');
  const pathOf = (runId: string) => join(folder, `${runId}.patch`);
  const describe = async (path: string) => {
    const found = await stat(path).catch(() => undefined);
    return found && { path, bytes: found.size };
  };
  return {
    async keep(runId, git, baseline, tree) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const path = pathOf(runId);
      await writePatch(git, baseline, tree, `${path}.part`);
      await rename(`${path}.part`, path);
      return { path, bytes: (await stat(path)).size };
    },
    find: (runId) => describe(pathOf(runId)),
    remove: (runId) => rm(pathOf(runId), { force: true }),
    async expire() {
      const names = await readdir(folder).catch(() => []);
      const oldest = Date.now() - keepMs;
      let expired = 0;
      for (const name of names) {
        const modified = (await stat(join(folder, name)).catch(() => undefined))?.mtimeMs;
        if (modified === undefined || modified >= oldest) continue;
        await rm(join(folder, name), { force: true });
        expired += 1;
      }
      return expired;
    },
  };
}
