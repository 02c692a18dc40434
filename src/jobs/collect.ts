/** The path of a job: that of any task, and before the workspace is given back what the run did in it is collected. */

import { alreadyAdmitted } from '../admission/slots.ts';
import type { RunOptions } from '../runs/execute.ts';
import type { JobRecord } from '../store/job.ts';
import type { Outcome, Task, WorkspaceResult } from '../task.ts';
import type { WorkspaceLease } from '../workspaces/workspaces.ts';
import type { ExecuteJob } from './claimed-job.ts';

/** @param run the path of a task, with the place that it is given */
export function createExecuteJob(
  run: (task: Task, options: RunOptions, places: typeof alreadyAdmitted) => Promise<Outcome>,
): ExecuteJob {
  return (task, { signal, onEvent, onSync, onWorkspace, job }) =>
    run(
      task,
      {
        signal,
        whenBusy: 'queue',
        onEvent,
        onSync,
        beforeRelease: async (workspace, outcome) => onWorkspace(await collect(workspace, job, outcome)),
      },
      alreadyAdmitted,
    );
}

/** Only what a completed run did is delivered; the patch is there in any case. */
async function collect(
  workspace: WorkspaceLease,
  job: JobRecord,
  outcome: Outcome | undefined,
): Promise<WorkspaceResult> {
  const changes = await workspace.collect();
  if (job.deliver !== 'branch' || !outcome) return changes;
  const request = { branch: `agent/${job.id}`, message: messageOf(job, outcome) };
  return { ...changes, delivery: await workspace.deliver(request) };
}

const titleLength = 72;

function messageOf(job: JobRecord, outcome: Outcome): string {
  const [firstLine = ''] = job.prompt.trim().split('\n');
  const title = firstLine.length > titleLength ? `${firstLine.slice(0, titleLength - 1)}…` : firstLine;
  const facts = [
    `Agent-Job: ${job.id}`,
    `Agent-Model: ${job.model}`,
    ...(job.agent ? [`Agent-Name: ${job.agent}`] : []),
    ...(outcome.costUsd === undefined ? [] : [`Agent-Cost-USD: ${outcome.costUsd.toFixed(4)}`]),
  ];
  return `${title}\n\n${outcome.text.trim()}\n\n${facts.join('\n')}\n`;
}
