/** Looks at the workspace as a sync would, and changes nothing: what it is, and whether its remote answers. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGit, type Environment, GitError } from './git/git.ts';
import { readGitSettings } from './git/git-settings.ts';
import { prepareStandIn } from './git/mirror.ts';
import { findRepository } from './git/repository.ts';
import { findStanding } from './git/upstream.ts';

export type Examination =
  | { kind: 'folder' }
  | { kind: 'no_upstream'; why: string }
  | { kind: 'unreachable'; upstream: string; why: string }
  | { kind: 'reachable'; upstream: string };

/** Throws a `ServiceError` when git cannot be started. */
export async function examineWorkspace(
  workspaceDir: string,
  environment: Environment,
  timeoutMs: number,
): Promise<Examination> {
  const repository = await findRepository(workspaceDir);
  if (!repository) return { kind: 'folder' };
  const git = createGit(environment);
  const folder = await mkdtemp(join(tmpdir(), 'claude-agent-server-examine-'));
  try {
    const settings = await readGitSettings(git, repository, environment);
    const { place } = await prepareStandIn(repository, settings, 'borrowed', folder);
    const { upstream, whyNone } = await findStanding(git, { gitDir: repository.gitDir }, settings.repository);
    if (!upstream) return { kind: 'no_upstream', why: whyNone };
    const asked = await git(place, ['ls-remote', '--', upstream.remote, upstream.ref], { timeoutMs });
    if (!asked.ok) return { kind: 'unreachable', upstream: upstream.name, why: asked.reason };
    if (asked.text === '') return { kind: 'unreachable', upstream: upstream.name, why: 'it has no such branch' };
    return { kind: 'reachable', upstream: upstream.name };
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return { kind: 'no_upstream', why: error.message };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
