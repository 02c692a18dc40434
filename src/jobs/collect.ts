/** Collects what a job changed in its workspace, and delivers it as a branch if the job says so. */
import type { JobRecord } from '../store/job.ts';
import type { Outcome, WorkspaceResult } from '../task.ts';
import { truncate } from '../truncate.ts';
import type { WorkspaceLease } from '../workspaces/workspaces.ts';

/**
 * Collects the changes of every run, but delivers only those of a completed run.
 * @param outcome undefined if the run failed
 */
export async function collectWork(
  workspace: WorkspaceLease,
  job: JobRecord,
  outcome: Outcome | undefined,
): Promise<WorkspaceResult> {
  const changes = await workspace.collect();
  if (job.deliver !== 'branch' || !outcome) return changes;
  const request = { branch: `agent/${job.id}`, message: commitMessage(job, outcome) };
  return { ...changes, delivery: await workspace.deliver(request) };
}

const titleLength = 72;

function commitMessage(job: JobRecord, outcome: Outcome): string {
  const [firstLine = ''] = job.prompt.trim().split('\n');
  const facts = [
    `Agent-Job: ${job.id}`,
    `Agent-Model: ${job.model}`,
    ...(job.agent ? [`Agent-Name: ${job.agent}`] : []),
    ...(outcome.costUsd === undefined ? [] : [`Agent-Cost-USD: ${outcome.costUsd.toFixed(4)}`]),
  ];
  return `${truncate(firstLine, titleLength)}\n\n${outcome.text.trim()}\n\n${facts.join('\n')}\n`;
}
