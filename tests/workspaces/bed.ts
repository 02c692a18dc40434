/** For whoever imports it: a sandbox of its own for every test, and what is opened in it closed after the test. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'node:test';
import type { WorkspaceSettings } from '../../src/workspaces/create.ts';
import type { Lease, Workspaces } from '../../src/workspaces/workspaces.ts';
import { makeSandbox, type Sandbox } from '../support/git-repositories.ts';
import { openWorkspaces } from './support.ts';

/** That of the running test. */
export let sandbox: Sandbox;

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
  const workspaces = await openWorkspaces(sandbox, { workspaceDir, syncFreshMs: 0, ...settings });
  opened.push(workspaces);
  return workspaces;
}

/** A file in the folder of a run. */
export function read(lease: Lease, path: string): string {
  return readFileSync(join(lease.path, path), 'utf8');
}

/** The folders of runs that are still there; spares belong to no run. */
export function worktreesLeft(): string[] {
  return readdirSync(join(sandbox.dataDir, 'worktrees')).filter((name) => !name.startsWith('.spare-'));
}
