/** Builds the workspace stage that the settings ask for. */
import { realpath, stat } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { createGit, type Git } from './git/git.ts';
import { findRepository, type Repository } from './git/repository.ts';
import { createScratch } from './scratch.ts';
import { createShared } from './shared/shared.ts';
import type { StageSettings } from './stage-settings.ts';
import type { Workspaces } from './workspaces.ts';
import { createWorktrees } from './worktrees/worktrees.ts';

type Given = 'gitSync' | 'gitSyncTimeoutMs' | 'dataDir' | 'environment';

export type WorkspaceSettings = Pick<StageSettings, Given> &
  Partial<Omit<StageSettings, Given>> & {
    workspaceDir: string | undefined;
    workspaceMode: 'auto' | 'worktree' | 'shared';
  };

const day = 24 * 3600 * 1000;

const defaults = {
  onSync: () => {},
  onKept: () => {},
  onProblem: () => {},
  syncFreshMs: 5000,
  preparedWorktrees: 2,
  bounds: { maxPatchBytes: 5 * 1024 * 1024, maxFiles: 10_000 },
  keepPatchesMs: 30 * day,
};

/** Throws an Error with one line when the settings cannot be met. */
export async function createWorkspaces(given: WorkspaceSettings): Promise<Workspaces> {
  const { workspaceDir, workspaceMode, ...settings } = { ...defaults, ...given };
  const git = createGit(settings.environment);
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
      const belongs = repository && (await isTracked(git, repository));
      return belongs ? createWorktrees(git, workspaceDir, repository, settings) : await shared();
    }
  }
}

/** Agents work in all of a shared workspace: keys and other runs' work would be theirs, and part of what they changed. */
async function refuseDataFolderIn(workspaceDir: string, dataDir: string): Promise<void> {
  const workspace = await realpath(workspaceDir);
  const data = await realpath(dataDir).catch(() => resolve(dataDir));
  if (data !== workspace && !data.startsWith(workspace + sep)) return;
  throw new Error(
    `Cannot use WORKSPACE_DIR=${workspaceDir} as a shared workspace: DATA_DIR=${dataDir} lies in it; set DATA_DIR to a folder elsewhere`,
  );
}

/** A folder that merely lies below a repository, such as one that holds somebody's dotfiles, is no part of it. */
async function isTracked(git: Git, { gitDir, prefix }: Repository): Promise<boolean> {
  if (prefix === '') return true;
  return (await git({ gitDir }, ['cat-file', '-e', `HEAD:${prefix}`], { timeoutMs: 10_000 })).ok;
}
