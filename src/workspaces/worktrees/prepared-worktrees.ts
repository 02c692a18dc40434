/** Makes worktrees before a run needs them, so that the run does not wait until thousands of files are written. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Git } from '../git/git.ts';
import { makeWorktree, moveWorktree, type Worktree } from './make-worktree.ts';
import { type StartPoint, sameStartPoint } from './start-point.ts';

export type PreparedWorktrees = {
  /** Returns a prepared worktree, moved to this start point. Returns `undefined` if there is none. */
  take(start: StartPoint): Promise<Worktree | undefined>;
  /** Starts to make the missing worktrees in the background. */
  fill(start: StartPoint): void;
  /** Removes all prepared worktrees, and makes no more. */
  close(): Promise<void>;
};

/**
 * @param settings.folder the folder in which the worktrees are made
 * @param settings.discard removes the folder of a worktree that is not used
 * @param settings.onFailed called if a worktree could not be made or moved; runs do not fail because of that
 */
export function createPreparedWorktrees(
  git: Git,
  settings: {
    folder: string;
    name: string;
    count: number;
    discard(folder: string): Promise<void>;
    onFailed(error: unknown): void;
  },
): PreparedWorktrees {
  const making: Promise<Worktree | undefined>[] = [];
  let closed = false;

  async function make(start: StartPoint): Promise<Worktree | undefined> {
    const folder = join(settings.folder, `.prepared-${randomUUID()}`);
    try {
      return await makeWorktree(git, start, folder, settings.name);
    } catch (error) {
      settings.onFailed(error);
      await settings.discard(folder);
      return undefined;
    }
  }

  return {
    async take(start) {
      const prepared = await making.shift();
      if (prepared === undefined) return undefined;
      if (sameStartPoint(prepared.start, start)) return { ...prepared, start };
      try {
        return await moveWorktree(git, prepared, start);
      } catch (error) {
        settings.onFailed(error);
        await settings.discard(prepared.folder);
        return undefined;
      }
    },
    fill(start) {
      while (!closed && making.length < settings.count) making.push(make(start));
    },
    async close() {
      closed = true;
      for (const prepared of await Promise.all(making.splice(0))) {
        if (prepared) await settings.discard(prepared.folder);
      }
    },
  };
}
