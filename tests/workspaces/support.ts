/** The workspace stage as the service builds it, with settings that suit a test. */
import { createWorkspaces, type WorkspaceSettings } from '../../src/workspaces/create.ts';
import type { Workspaces } from '../../src/workspaces/workspaces.ts';
import { gitEnvironment, type Sandbox } from '../support/git-repositories.ts';

export const never = new AbortController().signal;

export function openWorkspaces(sandbox: Sandbox, settings: Partial<WorkspaceSettings> = {}): Promise<Workspaces> {
  return createWorkspaces({
    workspaceDir: undefined,
    workspaceMode: 'auto',
    gitSync: 'best-effort',
    gitSyncTimeoutMs: 20_000,
    dataDir: sandbox.dataDir,
    environment: gitEnvironment,
    onSync: () => {},
    ...settings,
  });
}
