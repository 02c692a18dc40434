/** Disposes of worktrees: keeps unsaved work in the data folder, then removes the worktree's folder. */
import { randomUUID } from 'node:crypto';
import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createCleanup } from '../../processes/cleanup.ts';
import { removeFolder } from '../../processes/remove-folder.ts';
import type { Baseline } from '../changes/baseline.ts';
import { isFolder, snapshot } from '../changes/snapshot.ts';
import type { Git } from '../git/git.ts';
import { replaceFile } from '../git/mirror.ts';
import type { StageSettings } from '../workspaces.ts';
import { createKeptWork } from './kept-work.ts';
import { relocated, type Worktree } from './make-worktree.ts';

export type Disposal = {
  /**
   * Renames the worktree's folder at once, so that its name is free. The rest is done in the background, and tried
   * again until it succeeds. Never rejects.
   * @param saved whether all of the work is saved elsewhere, so that nothing must be kept
   */
  dispose(folder: string, saved: boolean): Promise<void>;
  /** Disposes of the worktrees that an earlier server process left behind, in the background. */
  disposeLeftovers(): Promise<void>;
  /** Removes the kept work of a run, if there is any. */
  forgetPatch(runId: string): Promise<void>;
  /**
   * Settles when all disposals have ended, or after some seconds. Disposals that have failed, or that have not begun by
   * then, are left to the next server.
   */
  close(): Promise<void>;
};

/** How long the end of the server waits for disposals that have not begun, in milliseconds. */
const closeMs = 5000;

const recordName = 'run.json';

type RunRecord = { runId: string; baseline: Baseline };

/**
 * Records which run uses the worktree. After a crash, the next server process reads this record and keeps the work
 * under the run's id.
 */
export async function recordRun(runId: string, { folder, baseline }: Worktree): Promise<void> {
  const record: RunRecord = { runId, baseline };
  await replaceFile(join(folder, recordName), JSON.stringify(record));
}

const notRemoved = 'a worktree could not be removed yet';

/** @param root the folder that holds all worktrees */
export function createDisposal(git: Git, root: string, settings: StageSettings): Disposal {
  const { keepPatchesMs, onKept, onProblem } = settings;
  const cleanup = createCleanup(onProblem);
  const keptWork = createKeptWork(git, settings);
  let closed = false;
  let last: Promise<void> = cleanup.run('old patches could not be removed', () => keptWork.removeOld());

  /** Does the steps one after the other, because removing thousands of files should not slow down running agents. */
  function inOrder(step: () => Promise<void>): Promise<void> {
    const done = last.then(() => (closed ? undefined : step()));
    last = done.catch(() => {});
    return done;
  }

  async function keepAndRemove(folder: string, saved: boolean): Promise<void> {
    const record = saved ? undefined : await readRecord(folder);
    if (record) {
      await keep(record, folder).catch(async (error: unknown) => {
        // Work that can never be kept, because its repository is gone, stays as long as a patch would.
        if (await isYoung(folder, keepPatchesMs)) throw error;
      });
    }
    await removeFolder(folder);
  }

  async function keep({ runId, baseline: recorded }: RunRecord, folder: string): Promise<void> {
    const baseline = relocated(recorded, folder);
    if (!(await isFolder(baseline.place.workTree))) return;
    const kept = await keptWork.keep(runId, baseline, await snapshot(git, baseline));
    if (kept) onKept(runId, kept);
  }

  /** Settles when the folder is renamed. */
  async function take(folder: string, saved: boolean): Promise<void> {
    const disposed = join(root, `.disposed-${randomUUID()}`);
    const now = await rename(folder, disposed).then(
      () => disposed,
      () => folder,
    );
    // Without its record, the next server only removes the folder.
    if (saved) await rm(join(now, recordName), { force: true }).catch(() => {});
    void cleanup.run(notRemoved, () => inOrder(() => keepAndRemove(now, saved)));
  }

  return {
    async dispose(folder, saved) {
      // An agent without a sandbox may have removed the folder.
      if (await isFolder(folder)) await take(folder, saved);
    },
    async disposeLeftovers() {
      for (const name of await readdir(root)) await take(join(root, name), false);
    },
    forgetPatch: (runId) => keptWork.forget(runId),
    async close() {
      const deadline = setTimeout(() => {
        closed = true;
      }, closeMs);
      for (let seen: unknown; seen !== last; ) {
        seen = last;
        await last;
      }
      clearTimeout(deadline);
      await cleanup.close();
    },
  };
}

async function isYoung(folder: string, maxAgeMs: number): Promise<boolean> {
  const written = (await stat(join(folder, recordName)).catch(() => undefined))?.mtimeMs;
  return written !== undefined && Date.now() - written < maxAgeMs;
}

/** Reads what `recordRun` wrote. Returns `undefined` if no run has used this folder. */
async function readRecord(folder: string): Promise<RunRecord | undefined> {
  const text = await readFile(join(folder, recordName), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : JSON.parse(text);
}
