/** Finds out before a run whether its work could be delivered, so that no money is spent in vain. */
import { remoteOf } from './changes/deliver.ts';
import { type Git, GitError } from './git/git.ts';
import type { Environment } from './git/git-environment.ts';
import { readGitSettings } from './git/git-settings.ts';
import { findRepository } from './git/repository.ts';
import { findCurrentBranch } from './git/upstream.ts';

/** Returns why not, or undefined if nothing speaks against it. Changes nothing, and does not ask the remote. */
export async function whyUndeliverable(
  git: Git,
  workspaceDir: string,
  environment: Environment,
): Promise<string | undefined> {
  const repository = await findRepository(workspaceDir);
  if (!repository) return 'the workspace is not a git repository';
  try {
    const settings = await readGitSettings(git, repository, environment);
    const { upstream } = await findCurrentBranch(git, { gitDir: repository.gitDir }, settings.repository);
    remoteOf(settings, upstream);
    return undefined;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return error.message;
  }
}
