/** Builds the workspace stage: finds out which kind of workspace the settings ask for. */
import { realpath, stat } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { createGit, type Git } from './git/git.ts';
import { findRepository, type Repository } from './git/repository.ts';
import { createScratch } from './scratch.ts';
import { createShared } from './shared/shared.ts';
import type { StageSettings, Workspaces } from './workspaces.ts';
import { createWorktrees } from './worktrees/worktrees.ts';

/** The settings; those in `defaults` may be left out. */
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
      const tracked = repository && (await isTracked(git, repository));
      return tracked ? createWorktrees(git, workspaceDir, repository, settings) : await shared();
    }
  }
}

/** Agents read and write all of a shared workspace: also keys and the work of other runs, if DATA_DIR lay in it. */
async function refuseDataFolderIn(workspaceDir: string, dataDir: string): Promise<void> {
  const workspace = await realpath(workspaceDir);
  const data = await realpath(dataDir).catch(() => resolve(dataDir));
  if (data !== workspace && !data.startsWith(workspace + sep)) return;
  throw new Error(
    `Cannot use WORKSPACE_DIR=${workspaceDir} as a shared workspace: DATA_DIR=${dataDir} lies in it; set DATA_DIR to a folder elsewhere`,
  );
}

/** An untracked folder inside a repository does not belong to it: many people keep their home folder in one. */
async function isTracked(git: Git, { gitDir, prefix }: Repository): Promise<boolean> {
  if (prefix === '') return true;
  return (await git({ gitDir }, ['cat-file', '-e', `HEAD:${prefix}`], { timeoutMs: 10_000 })).ok;
}
