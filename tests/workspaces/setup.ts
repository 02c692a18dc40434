/** For every test of a file that imports it: a folder of its own, and workspaces that are closed after the test. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'node:test';
import { createWorkspaces, type WorkspaceSettings } from '../../src/workspaces/create.ts';
import type { WorkspaceLease, Workspaces } from '../../src/workspaces/workspaces.ts';
import { gitEnvironment, makeSandbox, type Sandbox } from '../support/git-repositories.ts';

/** The folder of the running test. */
export let sandbox: Sandbox;

/** For a run that is never cancelled. */
export const never = new AbortController().signal;

const opened: Workspaces[] = [];

beforeEach(() => {
  sandbox = makeSandbox();
});

afterEach(async () => {
  for (const workspaces of opened.splice(0)) await workspaces.close();
  sandbox.remove();
});

/** Syncs before every run, unless a setting says otherwise. */
export async function open(
  workspaceDir: string | undefined,
  settings: Partial<WorkspaceSettings> = {},
): Promise<Workspaces> {
  const workspaces = await createWorkspaces({
    workspaceDir,
    workspaceMode: 'auto',
    gitSync: 'best-effort',
    gitSyncTimeoutMs: 20_000,
    syncFreshMs: 0,
    preparedWorktrees: 2,
    dataDir: sandbox.dataDir,
    environment: gitEnvironment,
    ...settings,
  });
  opened.push(workspaces);
  return workspaces;
}

/** The text of a file in the folder of a run. */
export function read(lease: WorkspaceLease, path: string): string {
  return readFileSync(join(lease.path, path), 'utf8');
}

/** The worktrees that are there, without the prepared ones, which belong to no run. */
export function worktreesLeft(): string[] {
  return worktreeFolders().filter((name) => !name.startsWith('.prepared-'));
}

export function worktreeFolders(): string[] {
  return readdirSync(join(sandbox.dataDir, 'worktrees'));
}

/** The path of the patch that was kept of a run, if there is one. */
export function keptPatch(runId: string): string | undefined {
  const path = join(sandbox.dataDir, 'patches', `${runId}.patch`);
  return existsSync(path) ? path : undefined;
}
