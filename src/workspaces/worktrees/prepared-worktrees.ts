/** Worktrees made ahead, so that a run need not wait for thousands of files to be written. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { removeFolder } from '../../processes/remove-folder.ts';
import type { Git } from '../git/git.ts';
import { type SyncedHead, sameHead } from './start-point.ts';
import { makeWorktree, moveWorktree, type Worktree } from './make-worktree.ts';

export type Spares = {
  /** One that stands on this head, if there is one or one is being made. It is no spare any more. */
  take(head: SyncedHead): Promise<Worktree | undefined>;
  /** Makes as many as there should be, in the background. */
  fill(head: SyncedHead): void;
  /** Removes them all; none is made any more. */
  close(): Promise<void>;
};

/** @param onFailed told why a spare could not be made; runs go on without */
export function createSpares(
  git: Git,
  settings: { folder: string; name: string; number: number; onFailed(error: unknown): void },
): Spares {
  const making: Promise<Worktree | undefined>[] = [];
  let closed = false;

  async function make(head: SyncedHead): Promise<Worktree | undefined> {
    const folder = join(settings.folder, `.spare-${randomUUID()}`);
    try {
      return await makeWorktree(git, head, folder, settings.name);
    } catch (error) {
      settings.onFailed(error);
      await removeFolder(folder).catch(settings.onFailed);
      return undefined;
    }
  }

  return {
    async take(head) {
      const spare = await making.shift();
      if (spare === undefined || sameHead(spare.head, head)) return spare && { ...spare, head };
      try {
        return await moveWorktree(git, spare, head);
      } catch (error) {
        settings.onFailed(error);
        await removeFolder(spare.folder).catch(settings.onFailed);
        return undefined;
      }
    },
    fill(head) {
      while (!closed && making.length < settings.number) making.push(make(head));
    },
    async close() {
      closed = true;
      for (const spare of await Promise.all(making.splice(0))) {
        if (spare) await removeFolder(spare.folder).catch(settings.onFailed);
      }
    },
  };
}
