/** Builds the workspace stage that the settings ask for. */
import { stat } from 'node:fs/promises';
import { createGit } from './git.ts';
import { createScratch } from './scratch.ts';
import { createShared } from './shared.ts';
import type { SyncSettings } from './sync.ts';
import type { Workspaces } from './workspaces.ts';

export type WorkspaceSettings = SyncSettings & {
  workspaceDir: string | undefined;
  workspaceMode: 'auto' | 'worktree' | 'shared';
};

/** Throws an Error with one line when the settings cannot be met. */
export async function createWorkspaces(settings: WorkspaceSettings): Promise<Workspaces> {
  const { workspaceDir, dataDir, environment } = settings;
  if (workspaceDir === undefined) return createScratch(dataDir);
  if (!(await stat(workspaceDir).catch(() => undefined))?.isDirectory()) {
    throw new Error('Cannot use WORKSPACE_DIR: there is no such folder');
  }
  return createShared(createGit(environment), workspaceDir, settings);
}
