/** An empty folder per run, for a server without a workspace: made for it, removed after it. */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeFolder } from './remove-folder.ts';
import { type Lease, type Prepared, safeRunId, unavailable, type Workspaces } from './workspaces.ts';

/** @param dataDir its `scratch` folder belongs to this stage: what a dead server left there is removed */
export async function createScratch(dataDir: string): Promise<Workspaces> {
  const folder = join(dataDir, 'scratch');
  await removeFolder(folder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const make = async (id: string): Promise<string> => {
    const path = join(folder, safeRunId(id));
    await mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
      throw unavailable('its folder could not be made', error);
    });
    return path;
  };
  return {
    async lease(runId, signal) {
      signal.throwIfAborted();
      return leaseOf(await make(runId));
    },
    prepare: async (id) => preparedOf(await make(id), true),
    close: async () => {},
  };
}

function leaseOf(path: string): Lease {
  return {
    path,
    sync: { state: 'off' },
    release: () => removeFolder(path),
    keep: async () => preparedOf(path, (await readdir(path)).length === 0),
  };
}

function preparedOf(path: string, clean: boolean): Prepared {
  return { path, clean, claim: async () => leaseOf(path), discard: () => removeFolder(path) };
}
