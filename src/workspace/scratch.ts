/** An empty folder per run, for a server without a workspace: made for it, removed after it. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeFolder } from './remove-folder.ts';
import { type Lease, safeRunId, unavailable, type Workspaces } from './workspaces.ts';

/** @param dataDir its `scratch` folder belongs to this stage: what a dead server left there is removed */
export async function createScratch(dataDir: string): Promise<Workspaces> {
  const folder = join(dataDir, 'scratch');
  await removeFolder(folder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return {
    async lease(runId, signal): Promise<Lease> {
      signal.throwIfAborted();
      const path = join(folder, safeRunId(runId));
      await mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
        throw unavailable('its folder could not be made', error);
      });
      return { path, sync: { state: 'off' }, release: () => removeFolder(path) };
    },
    close: async () => {},
  };
}
