/**
 * Owns what must be removed. A removal that fails, for example because the disk is full, is tried again with growing
 * waits until it succeeds.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { backoff } from '../waits.ts';
import { removeFolder } from './remove-folder.ts';

export type Cleanup = {
  /**
   * Does a step, such as a removal, until it succeeds. Settles after the first attempt, and never rejects.
   * @param what says in a log what could not be done
   */
  run(what: string, step: () => Promise<void>): Promise<void>;
  /** Removes a folder as `run` does. */
  remove(what: string, folder: string): Promise<void>;
  /** Makes an empty folder. If the folder exists, removes its content, which an earlier server left. */
  empty(what: string, folder: string): Promise<void>;
  /**
   * Tries no more. Settles when no step is running. What is left then is removed by the next server with the same data
   * folder.
   */
  close(): Promise<void>;
};

const firstRetryMs = 1000;
const longestRetryMs = 300_000;

/** @param onProblem called after each attempt that has failed */
export function createCleanup(onProblem: (what: string, error: unknown) => void): Cleanup {
  const closing = new AbortController();
  const steps = new Set<Promise<void>>();

  /** Returns whether the step has succeeded. Never rejects. */
  async function attempt(what: string, step: () => Promise<void>): Promise<boolean> {
    const running = step();
    steps.add(running);
    try {
      await running;
      return true;
    } catch (error) {
      onProblem(what, error);
      return false;
    } finally {
      steps.delete(running);
    }
  }

  async function retry(what: string, step: () => Promise<void>): Promise<void> {
    const wait = backoff({ firstMs: firstRetryMs, longestMs: longestRetryMs });
    do await wait.wait(closing.signal);
    while (!closing.signal.aborted && !(await attempt(what, step)));
  }

  async function run(what: string, step: () => Promise<void>): Promise<void> {
    if (!(await attempt(what, step))) void retry(what, step);
  }

  const remove = (what: string, folder: string) => run(what, () => removeFolder(folder));

  return {
    run,
    remove,
    async empty(what, folder) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      for (const name of await readdir(folder)) {
        // What cannot be removed at once must not be in the way of something new with the same name.
        const left = join(folder, `.left-${randomUUID()}`);
        const moved = await rename(join(folder, name), left).then(
          () => left,
          () => join(folder, name),
        );
        await remove(what, moved);
      }
    },
    async close() {
      closing.abort();
      await Promise.allSettled(steps);
    },
  };
}
