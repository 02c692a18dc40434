/** A program for a small disk: collects and delivers the work of a run while the disk is full, and then makes room. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createWorkspaces } from '../../src/workspaces/create.ts';
import { git, gitEnvironment, makeClone, makeSandbox, write } from './git-repositories.ts';
import { seededRandom } from './random.ts';
import { randomBytes } from './random-files.ts';
import { waitUntil } from './wait-until.ts';

const dataDir = join(process.argv[2] ?? '', 'data');
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
const collected = await run.collect();
const delivered = await run.deliver({ branch: 'agent/run', message: 'x' });
rmSync(filler);
await run.release();
const worktrees = join(dataDir, 'worktrees');
await waitUntil('nothing is left', () => readdirSync(worktrees).length === 0, 60_000);
const patch = join(dataDir, 'patches/run.patch');
git(clone, 'apply', patch);
const applies = existsSync(join(clone, 'b.bin'));
console.log(JSON.stringify({ collected, delivered, applies }));
await workspaces.close();
sandbox.remove();
