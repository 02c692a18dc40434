/**
 * Examines a workspace for `doctor`: whether it is a git repository, and whether its remote answers. Changes nothing in
 * it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGit, GitError } from './git/git.ts';
import type { Environment } from './git/git-environment.ts';
import { readGitSettings } from './git/git-settings.ts';
import { prepareMirror } from './git/mirror.ts';
import { findRepository } from './git/repository.ts';
import { findCurrentBranch } from './git/upstream.ts';

/** `upstream` is a name such as `origin/main`. `why` is a one-line reason for the operator. */
export type Examination =
  | { kind: 'folder' }
  | { kind: 'no_upstream'; why: string }
  | { kind: 'unreachable'; upstream: string; why: string }
  | { kind: 'reachable'; upstream: string };

/** Throws a `ServiceError` if git cannot be started. */
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
    const { place } = await prepareMirror(repository, settings, 'borrowed', folder);
    const current = await findCurrentBranch(git, { gitDir: repository.gitDir }, settings.repository);
    if (!current.upstream) return { kind: 'no_upstream', why: current.noUpstream };
    const { name, remote, ref } = current.upstream;
    const listed = await git(place, ['ls-remote', '--', remote, ref], { timeoutMs });
    if (!listed.ok) return { kind: 'unreachable', upstream: name, why: listed.reason };
    if (listed.text === '') return { kind: 'unreachable', upstream: name, why: 'it has no such branch' };
    return { kind: 'reachable', upstream: name };
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return { kind: 'no_upstream', why: error.message };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
