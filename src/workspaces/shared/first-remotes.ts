/**
 * Keeps the remotes of a shared workspace as they were at the server's start. Agents can write the settings of its
 * repository, and must not choose where the server's own git fetches from and pushes to.
 */
import { type Git, GitError } from '../git/git.ts';
import type { Environment } from '../git/git-environment.ts';
import { type GitSettings, readGitSettings, withRemotesOf } from '../git/git-settings.ts';
import type { Repository } from '../git/repository.ts';

/**
 * Reads the settings of the repository, with the remotes as they were at the start. Throws a `GitError`. `note` is a
 * sentence for the user if the remotes have changed since.
 */
export type SettingsReader = (repository: Repository) => Promise<{ settings: GitSettings; note?: string }>;

/** @param first the repository at the server's start. If its settings cannot be read, no remotes are used */
export async function createSettingsReader(
  git: Git,
  first: Repository | undefined,
  environment: Environment,
): Promise<SettingsReader> {
  const atStart = first ? await readOrEmpty(git, first, environment) : empty;
  return async (repository) => {
    const now = await readGitSettings(git, repository, environment);
    const { settings, changed } = withRemotesOf(atStart, now);
    if (changed.length === 0) return { settings };
    const note = `These git settings have changed since the start of the server, and count after a restart: ${changed.join(', ')}.`;
    return { settings, note };
  };
}

const empty: GitSettings = { host: [], repository: [] };

async function readOrEmpty(git: Git, repository: Repository, environment: Environment): Promise<GitSettings> {
  try {
    return await readGitSettings(git, repository, environment);
  } catch (error) {
    if (error instanceof GitError) return empty;
    throw error;
  }
}
