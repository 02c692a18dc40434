/** The work of one run in its folder: told as changes, delivered as a branch, and known to be safe elsewhere or not. */
import type { Delivery } from '../../task.ts';
import type { Baseline } from './baseline.ts';
import { type ChangeLimits, type Changes, describeChanges } from './changes.ts';
import { type DeliveryRequest, type DeliveryTarget, deliverWork } from './deliver.ts';
import { type Git, GitError } from '../git/git.ts';
import { snapshot } from './snapshot.ts';

export type Work = {
  collect(): Promise<Changes>;
  deliver(request: DeliveryRequest): Promise<Delivery>;
  /** All of it was collected or pushed: the folder may go. */
  settled(): boolean;
};

/** @param whyNot there can be no delivery, when there is no target */
export function createWork(
  git: Git,
  baseline: Baseline,
  bounds: ChangeLimits,
  delivery: { target: () => Promise<DeliveryTarget> } | { whyNot: string },
): Work {
  const at = new Date();
  let settled = false;
  return {
    async collect() {
      try {
        const changes = await describeChanges(git, baseline, await snapshot(git, baseline), bounds);
        settled ||= changes.patchOmitted === undefined;
        return changes;
      } catch (error) {
        if (!(error instanceof GitError)) throw error;
        return {
          revision: baseline.revision,
          files: [],
          patchOmitted: `the changes could not be told: ${error.message}`,
        };
      }
    },
    async deliver(request) {
      const { branch } = request;
      if ('whyNot' in delivery) return { state: 'failed', branch, detail: delivery.whyNot };
      try {
        const tree = await snapshot(git, baseline);
        const result = await deliverWork(git, baseline, tree, await delivery.target(), { ...request, at });
        settled ||= result.state !== 'failed';
        return result;
      } catch (error) {
        if (!(error instanceof GitError)) throw error;
        return { state: 'failed', branch, detail: error.message };
      }
    },
    settled: () => settled,
  };
}

/** Of a folder whose changes nobody can tell. */
export function unknownWork(reason: string): Work {
  return {
    collect: async () => ({ files: [], patchOmitted: reason }),
    deliver: async ({ branch }) => ({ state: 'failed', branch, detail: reason }),
    settled: () => true,
  };
}
