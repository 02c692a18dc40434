/** Collects and delivers the work of one run, and knows whether all of the work is saved. */
import type { Delivery } from '../../task.ts';
import type { BytePath } from '../git/byte-path.ts';
import { type Git, GitError } from '../git/git.ts';
import type { Baseline } from './baseline.ts';
import { type ChangeLimits, type Changes, describeChanges } from './changes.ts';
import { type DeliveryRequest, type DeliveryTarget, deliverWork } from './deliver.ts';
import { isLost, type Omitted } from './omissions.ts';
import { type Snapshot, snapshot } from './snapshot.ts';

export type Work = {
  collect(): Promise<Changes>;
  deliver(request: DeliveryRequest): Promise<Delivery>;
  /** Whether all of the work was collected or pushed, so that the folder can be removed. */
  saved(): boolean;
};

/**
 * Returns the work of a run whose changes can be found from its baseline.
 * @param delivery the delivery target, or the reason why the work cannot be delivered
 * @param check called before git reads the files. Throws a `GitError` if git must not read them
 */
export function createWork(
  git: Git,
  baseline: Baseline,
  limits: ChangeLimits,
  delivery: { target: () => Promise<DeliveryTarget> } | { impossible: string },
  check: () => Promise<void> = async () => {},
): Work {
  const at = new Date();
  let saved = false;
  /** The special files that earlier snapshots have removed. */
  const removed = new Map<BytePath, Omitted>();
  const take = async (): Promise<Snapshot> => {
    await check();
    const taken = await snapshot(git, baseline);
    for (const each of taken.omitted) if (each.reason === 'special_file') removed.set(each.path, each);
    const others = taken.omitted.filter(({ reason }) => reason !== 'special_file');
    return { ...taken, omitted: [...removed.values(), ...newOmissions(baseline, others)] };
  };
  return {
    async collect() {
      try {
        const changes = await describeChanges(git, baseline, await take(), limits);
        saved ||= changes.patchOmitted === undefined;
        return changes;
      } catch (error) {
        return {
          revision: baseline.revision,
          files: [],
          patchOmitted: `the changes could not be collected: ${reasonOf(error)}`,
        };
      }
    },
    async deliver(request) {
      const { branch } = request;
      if ('impossible' in delivery) return { state: 'failed', branch, detail: delivery.impossible };
      try {
        const taken = await take();
        const result = await deliverWork(git, baseline, taken, await delivery.target(), { ...request, at });
        saved ||= result.state !== 'failed' && !taken.omitted.some(isLost);
        return result;
      } catch (error) {
        return { state: 'failed', branch, detail: reasonOf(error) };
      }
    },
    saved: () => saved,
  };
}

/**
 * Returns why git or the file system failed, in words for clients. Throws all other errors. The message of an error of
 * the file system is not used, because it has the paths of the server.
 */
function reasonOf(error: unknown): string {
  if (error instanceof GitError) return error.message;
  if (!(error instanceof Error && 'syscall' in error && 'code' in error)) throw error;
  return fileSystemReasons[String(error.code)] ?? `the server's file system reported ${error.code}`;
}

const fileSystemReasons: Record<string, string> = {
  ENOSPC: "the server's disk is full",
  EDQUOT: "the server's disk quota is used up",
  EROFS: "the server's disk is read-only",
  EMFILE: 'the server has too many open files',
  ENFILE: 'the machine of the server has too many open files',
};

/** Leaves out what the folder already contained before the run, except repositories, whose files may have changed. */
function newOmissions({ omittedBefore = [] }: Baseline, omitted: Omitted[]): Omitted[] {
  const before = new Set(omittedBefore.map(({ path, reason }) => `${reason} ${path}`));
  const isRepository = ({ path, reason }: Omitted) => reason === 'nested_repository' && !path.endsWith('/.git');
  return omitted.filter((each) => isRepository(each) || !before.has(`${each.reason} ${each.path}`));
}

/** Returns the work of a run whose changes cannot be found. Its `collect` and `deliver` report the reason. */
export function unknownWork(reason: string): Work {
  return {
    collect: async () => ({ files: [], patchOmitted: reason }),
    deliver: async ({ branch }) => ({ state: 'failed', branch, detail: reason }),
    saved: () => true,
  };
}
