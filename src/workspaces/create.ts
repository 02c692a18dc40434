/** Creates the workspaces in the mode that the settings ask for: scratch, shared or worktree. */
import { realpath, stat } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { createGit, type Git, quick } from './git/git.ts';
import { removeUnfinished } from './git/mirror.ts';
import { findRepository, type Repository } from './git/repository.ts';
import { createScratch } from './scratch.ts';
import { createShared } from './shared/shared.ts';
import type { StageSettings, Workspaces } from './workspaces.ts';
import { createWorktrees } from './worktrees/worktrees.ts';

/** The settings. A setting that has a value in `defaults` is optional. */
export type WorkspaceSettings = Omit<StageSettings, keyof typeof defaults> &
  Partial<Pick<StageSettings, keyof typeof defaults>> & {
    workspaceDir: string | undefined;
    workspaceMode: 'auto' | 'worktree' | 'shared';
  };

const defaults = {
  onSync: () => {},
  onKept: () => {},
  onProblem: () => {},
  changeLimits: { maxPatchBytes: 5 * 1024 * 1024, maxFiles: 10_000 },
  keepPatchesMs: 30 * 24 * 3600 * 1000,
};

/** Creates the workspaces. Throws an Error with a one-line message if the settings cannot be satisfied. */
export async function createWorkspaces(given: WorkspaceSettings): Promise<Workspaces> {
  const { workspaceDir, workspaceMode, ...settings } = { ...defaults, ...given };
  const git = createGit(settings.environment);
  await removeUnfinished(settings.dataDir);
  if (workspaceDir === undefined) return createScratch(git, settings);
  if (!(await stat(workspaceDir).catch(() => undefined))?.isDirectory()) {
    throw new Error(`Cannot use WORKSPACE_DIR=${workspaceDir}: there is no such folder`);
  }
  const repository = await findRepository(workspaceDir);
  const shared = async () => {
    await refuseDataFolderIn(workspaceDir, settings.dataDir);
    return createShared(git, workspaceDir, repository, settings);
  };
  switch (workspaceMode) {
    case 'shared':
      return await shared();
    case 'worktree':
      if (!repository) throw new Error('Cannot use WORKSPACE_MODE=worktree: WORKSPACE_DIR is not a git repository');
      return createWorktrees(git, workspaceDir, repository, settings);
    case 'auto': {
      const tracked = repository && (await isTracked(git, repository));
      return tracked ? createWorktrees(git, workspaceDir, repository, settings) : await shared();
    }
  }
}

/**
 * Throws if DATA_DIR lies in the shared workspace, where agents could read and change keys and the work of other runs.
 */
async function refuseDataFolderIn(workspaceDir: string, dataDir: string): Promise<void> {
  const workspace = await realpath(workspaceDir);
  const data = await realpath(dataDir).catch(() => resolve(dataDir));
  if (data !== workspace && !data.startsWith(workspace + sep)) return;
  throw new Error(
    `Cannot use WORKSPACE_DIR=${workspaceDir} as a shared workspace: DATA_DIR=${dataDir} lies in it; set DATA_DIR to a folder elsewhere`,
  );
}

/**
 * Returns whether the repository tracks the folder. A folder inside a repository may be untracked, for example if the
 * user's whole home folder is a repository.
 */
async function isTracked(git: Git, { gitDir, prefix }: Repository): Promise<boolean> {
  if (prefix === '') return true;
  return (await git({ gitDir }, ['cat-file', '-e', `HEAD:${prefix}`], quick)).ok;
}
