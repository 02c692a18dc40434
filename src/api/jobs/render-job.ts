/** Renders jobs with the names of the API. Values that are not known, or not known yet, are null. */

import type { JobView } from '../../jobs/jobs.ts';
import type { JobSummary, WaitCause, WebhookReport } from '../../store/job.ts';
import type { Denial, ModelUsage, Usage } from '../../task.ts';

export type JobJson = ReturnType<typeof renderJob>;
export type ListedJobJson = ReturnType<typeof renderListedJob> & {
  /** Whose job it is. Only the operator sees it. */
  owner?: string;
};

/** Renders everything about a job except its patch. Webhooks send the same. */
export function renderJob(job: JobView) {
  return {
    ...renderListedJob(job),
    output: job.output,
    stderr: job.stderr,
    result: job.result ?? null,
    denials: (job.denials ?? []).map(denialOf),
    models: Object.fromEntries(Object.entries(job.models ?? {}).map(([name, used]) => [name, modelUsage(used)])),
    ...renderQueuePosition(job),
    workspace: workspaceOf(job),
    callback: job.callback ? callbackOf(job.callback) : null,
  };
}

/** Renders a job for a list: without long texts, and with only the beginning of the prompt. */
export function renderListedJob(job: JobSummary & Pick<JobView, 'position'>) {
  return {
    job_id: job.id,
    status: job.state,
    prompt: job.prompt,
    agent: job.agent ?? null,
    model: job.model,
    metadata: job.metadata ?? {},
    created_at: isoTime(job.createdAt),
    started_at: isoTime(job.startedAt),
    finished_at: isoTime(job.finishedAt),
    cancel_requested_at: isoTime(job.cancelRequestedAt),
    exit_code: job.exitCode ?? null,
    usage: job.usage ? usageOf(job.usage) : null,
    cost_usd: job.costUsd ?? null,
    num_turns: job.turns ?? null,
    error: job.error ?? null,
    waiting_for: job.state === 'queued' && job.waitingFor ? waitCause(job.waitingFor) : null,
    attempt: job.attempt,
    session_id: job.sessionId ?? null,
    last_event_id: job.lastSeq,
    position: job.position ?? null,
    ...requestOf(job),
  };
}

/** Renders what was requested, with the defaults that applied. */
function requestOf({ effort, limits, priority, onInterrupt, deliver, callbackUrl }: JobSummary) {
  return {
    effort: effort ?? null,
    max_budget_usd: limits.budgetUsd,
    timeout_seconds: limits.runMs / 1000,
    stall_seconds: limits.stallMs / 1000,
    wait_seconds: limits.waitMs / 1000,
    priority,
    on_interrupt: onInterrupt,
    deliver: deliver ?? null,
    callback_url: callbackUrl ?? null,
  };
}

/** Renders the position of a queued job. Both values are null for other jobs. */
export function renderQueuePosition({ position, expectedWaitMs }: JobView) {
  return {
    position: position ?? null,
    expected_wait_seconds: expectedWaitMs === undefined ? null : Math.round(expectedWaitMs / 100) / 10,
  };
}

function waitCause({ code, message, since }: WaitCause) {
  return { code, message, since: isoTime(since) };
}

function denialOf({ tool, input, reason }: Denial) {
  return { tool, input: input ?? null, reason: reason ?? null };
}

function workspaceOf({ workspace, sync }: JobView) {
  if (!workspace && !sync) return null;
  return {
    revision: workspace?.revision ?? sync?.revision ?? null,
    files: workspace?.files ?? [],
    omitted: workspace?.omitted ?? [],
    patch_omitted: workspace?.patchOmitted ?? null,
    delivery: workspace?.delivery ?? null,
    sync: sync ?? null,
  };
}

function callbackOf({ state, attempts, nextAttemptAt, deliveredAt, status, detail }: WebhookReport) {
  return {
    state,
    attempts,
    next_attempt_at: isoTime(nextAttemptAt),
    delivered_at: isoTime(deliveredAt),
    status: status ?? null,
    detail: detail ?? null,
  };
}

function modelUsage(used: ModelUsage) {
  return { ...usageOf(used), cost_usd: used.costUsd };
}

/** Each token is counted once: `input_tokens` excludes tokens read from or written to the cache. */
function usageOf({ inputTokens, cacheReadTokens, cacheWriteTokens, outputTokens }: Usage) {
  return {
    input_tokens: inputTokens,
    cache_read_tokens: cacheReadTokens,
    cache_write_tokens: cacheWriteTokens,
    output_tokens: outputTokens,
  };
}

/** Renders milliseconds since 1970 as a time in ISO 8601, in UTC. */
function isoTime(ms: number): string;
function isoTime(ms: number | undefined): string | null;
function isoTime(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
