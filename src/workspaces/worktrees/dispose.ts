/** The end of worktrees: work that nobody has collected is kept as a patch, then the folder goes. */
import { randomUUID } from 'node:crypto';
import { readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { removeFolder } from '../../processes/remove-folder.ts';
import type { Baseline } from '../changes/baseline.ts';
import type { Git } from '../git/git.ts';
import type { KeptPatches } from './kept-patches.ts';
import { replaceFile } from '../git/mirror.ts';
import { isFolder, snapshot } from '../changes/snapshot.ts';
import type { StageSettings } from '../stage-settings.ts';
import { relocated, type Worktree } from './make-worktree.ts';

export type Retirement = {
  /** Frees the run's name at once; the rest follows in the background. */
  retire(folder: string, settled: boolean): Promise<void>;
  /** Retires in the background what a dead server left. */
  adoptLeftovers(): Promise<void>;
  /** Settles when nothing is left to do. */
  idle(): Promise<void>;
};

const recordName = 'run.json';
const retiredPrefix = '.retired-';

/** What is needed to know about the worktree of a run when the server that made it has died. */
export async function recordRun(runId: string, { folder, baseline }: Worktree): Promise<void> {
  await replaceFile(join(folder, recordName), JSON.stringify({ runId, baseline }));
}

export function createRetirement(
  git: Git,
  root: string,
  patches: KeptPatches,
  { onKept, onProblem }: Pick<StageSettings, 'onKept' | 'onProblem'>,
): Retirement {
  let last: Promise<void> = expirePatches();

  async function expirePatches(): Promise<void> {
    await patches.expire().catch((error: unknown) => onProblem('old patches could not be removed', error));
  }

  /** One at a time: removing thousands of files should not slow down who is working. */
  function later(step: () => Promise<void>): void {
    last = last.then(step).catch((error: unknown) => onProblem('a worktree could not be removed; it stays', error));
  }

  async function end(folder: string, settled: boolean): Promise<void> {
    const record = settled ? undefined : await readRecord(folder);
    // Throws when it cannot be kept: the folder is not removed then, and looked at again at the next start.
    if (record) await keepWork(record.runId, relocated(record.baseline, folder));
    await removeFolder(folder);
  }

  async function keepWork(runId: string, baseline: Baseline): Promise<void> {
    if (!(await isFolder(baseline.place.workTree))) return;
    const tree = await snapshot(git, baseline);
    if (tree !== baseline.tree) onKept(runId, await patches.keep(runId, git, baseline, tree));
  }

  return {
    async retire(folder, settled) {
      const retired = join(root, retiredPrefix + randomUUID());
      // An agent without a sandbox may have removed it.
      if (!(await isFolder(folder))) return;
      await rename(folder, retired);
      later(() => end(retired, settled));
    },
    async adoptLeftovers() {
      for (const name of await readdir(root)) {
        const retired = join(root, retiredPrefix + randomUUID());
        await rename(join(root, name), retired);
        later(() => end(retired, false));
      }
    },
    async idle() {
      for (let seen: unknown; seen !== last; ) {
        seen = last;
        await last;
      }
    },
  };
}

/** None: no run has begun in this folder. */
async function readRecord(folder: string): Promise<{ runId: string; baseline: Baseline } | undefined> {
  const text = await readFile(join(folder, recordName), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : JSON.parse(text);
}
