/** Finds out before a run whether its work could be delivered, so that no money is spent in vain. */
import { remoteOf } from './changes/deliver.ts';
import { type Git, GitError } from './git/git.ts';
import type { GitSettings } from './git/git-settings.ts';
import { findRepository, type Repository } from './git/repository.ts';
import { findCurrentBranch } from './git/upstream.ts';

/**
 * Returns why not, or undefined if nothing speaks against it. Changes nothing, and does not ask the remote.
 * @param settingsOf reads the settings with which a delivery would be made
 */
export async function whyUndeliverable(
  git: Git,
  workspaceDir: string,
  settingsOf: (repository: Repository) => Promise<GitSettings>,
): Promise<string | undefined> {
  const repository = await findRepository(workspaceDir);
  if (!repository) return 'the workspace is not a git repository';
  try {
    const settings = await settingsOf(repository);
    const { upstream } = await findCurrentBranch(git, { gitDir: repository.gitDir }, settings.repository);
    remoteOf(settings, upstream);
    return undefined;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return error.message;
  }
}
