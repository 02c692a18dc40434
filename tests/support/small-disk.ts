/** A run whose data folder is on a small disk, which becomes full: for programs that have mounts of their own. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createWorkspaces } from '../../src/workspaces/create.ts';
import { git, gitEnvironment, makeClone, makeSandbox, write } from './git-repositories.ts';
import { seededRandom } from './random.ts';
import { randomBytes } from './random-files.ts';
import { waitUntil } from './wait-until.ts';

/**
 * Runs a program of this folder with a small disk, whose path is its argument. Returns what it printed. Skips the test
 * and returns `undefined` where no file system can be mounted.
 * @param folder where the disk is mounted; the folder must not exist
 */
export function runOnSmallDisk(t: TestContext, name: string, folder: string, megabytes: number): string | undefined {
  const program = fileURLToPath(new URL(name, import.meta.url));
  const mount = `mkdir "$1" && mount -t tmpfs -o size=${megabytes}m none "$1" && exec "$2" "$3" "$1"`;
  const args = ['--user', '--map-root-user', '--mount', 'sh', '-c', mount, 'sh', folder, process.execPath, program];
  const ran = spawnSync('unshare', args, { encoding: 'utf8', timeout: 120_000 });
  if (/unshare|mount/.test(ran.stderr ?? '') || ran.error) {
    t.skip(`no own mounts here: ${ran.stderr}`);
    return undefined;
  }
  if (ran.status !== 0) throw new Error(`The program ended with status ${ran.status}: ${ran.stderr}`);
  return ran.stdout;
}

/** Starts a run in a worktree on the small disk, changes files, and fills the disk. */
export async function runOnFullDisk(disk: string, onProblem = () => {}) {
  const dataDir = join(disk, 'data');
  mkdirSync(dataDir);
  const sandbox = makeSandbox();
  const { clone } = makeClone(sandbox);
  const workspaces = await createWorkspaces({
    workspaceDir: clone,
    workspaceMode: 'worktree',
    gitSync: 'off',
    gitSyncTimeoutMs: 20_000,
    syncFreshMs: 0,
    preparedWorktrees: 0,
    dataDir,
    environment: gitEnvironment,
    onProblem,
  });
  const run = await workspaces.lease('run', new AbortController().signal);
  write(run.path, { 'a.txt': 'changed\n' });
  writeFileSync(join(run.path, 'b.bin'), randomBytes(seededRandom(1), 500_000));
  const filler = join(dataDir, 'filler');
  try {
    for (;;) writeFileSync(filler, Buffer.alloc(4096), { flag: 'a' });
  } catch {
    // The disk is full.
  }
  const worktrees = join(dataDir, 'worktrees');
  return {
    run,
    makeRoom: () => rmSync(filler),
    /** Waits until the worktree is gone, applies the kept patch, and cleans up. */
    async finish() {
      await waitUntil('nothing is left', () => readdirSync(worktrees).length === 0, 60_000);
      git(clone, 'apply', join(dataDir, 'patches/run.patch'));
      const found = {
        left: readdirSync(worktrees),
        kept: readdirSync(join(dataDir, 'patches')),
        applies: existsSync(join(clone, 'b.bin')),
      };
      await workspaces.close();
      sandbox.remove();
      return found;
    },
  };
}
