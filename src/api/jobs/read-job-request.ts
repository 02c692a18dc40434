/** Reads the body of `POST /execute`. Every limit of a job's fields is in this file. */
import { z } from 'zod';
import { invalidField } from '../../errors.ts';
import { roundedNumberIn } from '../../http/exact-numbers.ts';
import type { JobRequest } from '../../jobs/spec.ts';
import type { Owner } from '../../task.ts';
import { startOf } from '../../truncate.ts';
import { callbackUrlProblem } from '../../webhooks/address.ts';
import type { Models } from '../models.ts';
import { onlyFields, parseBody } from '../parse-body.ts';

/** The longest run of a job, in seconds. The queue of the PostgreSQL store ends jobs after a day. */
const longestRun = 23 * 3600;
const longestWait = 365 * 24 * 3600;
const maxMetadataBytes = 64 * 1024;

/** The limits of a job that come from the settings. */
export type JobBounds = { maxBudgetUsd: number; allowPrivateCallbacks: boolean };

/** The name of an agent definition. The command line would take a name that begins with `-` for a flag. */
export const agentName = z
  .string()
  .regex(/^[^-\p{Cc}][^\p{Cc}]{0,199}$/u, 'must be a name of 1 to 200 characters that does not begin with "-"');

export type JobRequestShape = ReturnType<typeof jobRequestShape>;

/** Returns the shape of the body. Null means that a field is absent. */
export function jobRequestShape({ maxBudgetUsd, allowPrivateCallbacks }: JobBounds) {
  return onlyFields({
    prompt: z
      .string()
      .min(1)
      .refine((text) => text.trim() !== '', 'must not be empty')
      .refine((text) => !text.includes('\0'), 'it holds a NUL character'),
    agent: agentName.nullish().describe('A Claude Code agent definition; absent: JOB_AGENT.'),
    model: z.string().nullish().describe('Of GET /v1/models; absent: the default model of the server.'),
    effort: z.enum(['low', 'medium', 'high', 'xhigh', 'max']).nullish(),
    max_budget_usd: z
      .number()
      .min(0.01)
      .refine((usd) => usd <= maxBudgetUsd, {
        error: ({ input }) => `it is ${input} and may be at most ${maxBudgetUsd}, as MAX_BUDGET_USD says`,
      })
      .nullish()
      .describe('US dollars, at most MAX_BUDGET_USD; absent: JOB_BUDGET_USD.'),
    timeout_seconds: z
      .number()
      .positive('must be above 0')
      .max(longestRun)
      .nullish()
      .describe('From the start of the agent to its result; absent: JOB_TIMEOUT_SECONDS.'),
    stall_seconds: z
      .number()
      .min(0)
      .max(longestRun)
      .nullish()
      .describe('The longest silence of the agent; 0: no limit; absent: JOB_STALL_SECONDS.'),
    wait_seconds: z
      .number()
      .min(0)
      .max(longestWait)
      .nullish()
      .describe('The longest wait for a slot; 0: no limit; absent: JOB_WAIT_SECONDS.'),
    metadata: z.looseObject({}).nullish().describe(`Returned unchanged; at most ${maxMetadataBytes} bytes.`),
    callback_url: z
      .string()
      .check(({ value, issues }) => {
        const problem = callbackUrlProblem(value, allowPrivateCallbacks);
        if (problem) issues.push({ code: 'custom', input: value, message: problem });
      })
      .nullish()
      .describe('Gets a signed POST of the final record.'),
    priority: z
      .int()
      .min(-9)
      .max(9)
      .nullish()
      .describe("9 goes first; above 0 only with the operator's key; absent: 0."),
    on_interrupt: z
      .enum(['mark', 'requeue'])
      .nullish()
      .describe('What becomes of the job when its server dies; absent: ON_INTERRUPT.'),
    deliver: z.literal('branch').nullish().describe('Commit and push the work to agent/{job_id}.'),
  });
}

/** The body after it was checked. */
export type JobBody = z.infer<JobRequestShape>;

export type ReadJobOptions = {
  shape: JobRequestShape;
  models: Models;
  owner: Owner;
  /** Whether the request carries the operator's key. */
  isOperator: boolean;
  idempotencyKey: string | undefined;
};

/** Reads a request for a job. Throws `invalid_json`, `invalid_request` or `unsupported_model`, checked in this order. */
export function readJobRequest(body: unknown, options: ReadJobOptions): JobRequest {
  const parsed = parseBody(options.shape, body);
  const { prompt, agent, effort, callback_url, priority, on_interrupt, deliver } = parsed;
  // Otherwise the jobs of one key would go before those of all others.
  if ((priority ?? 0) > 0 && !options.isOperator) {
    throw invalidField('priority', "it is above 0, which only the operator's key may ask for");
  }
  // The metadata is taken from the body, because parsing drops names such as `__proto__`.
  const { metadata } = body as Pick<JobBody, 'metadata'>;
  if (metadata) checkMetadata(metadata);
  const { model } = options.models.resolve(parsed.model);
  return {
    prompt,
    owner: options.owner,
    model,
    limits: limitsOf(parsed),
    ...(agent ? { agent } : {}),
    ...(effort ? { effort } : {}),
    ...(metadata ? { metadata } : {}),
    ...(typeof callback_url === 'string' ? { callbackUrl: callback_url } : {}),
    ...(typeof priority === 'number' ? { priority } : {}),
    ...(on_interrupt ? { onInterrupt: on_interrupt } : {}),
    ...(deliver ? { deliver } : {}),
    ...(options.idempotencyKey === undefined ? {} : { idempotencyKey: options.idempotencyKey }),
  };
}

/** Throws `invalid_request` if the metadata cannot be kept and returned unchanged. */
function checkMetadata(metadata: Record<string, unknown>): void {
  if (Buffer.byteLength(JSON.stringify(metadata)) > maxMetadataBytes) {
    throw invalidField('metadata', `it is over ${maxMetadataBytes} bytes`);
  }
  const rounded = roundedNumberIn(metadata);
  if (rounded === undefined) return;
  throw invalidField(
    `metadata.${startOf(rounded, 200)}`,
    'it is beyond 2^53, so it would be rounded; send it as a string',
  );
}

function limitsOf(body: JobBody): NonNullable<JobRequest['limits']> {
  const { timeout_seconds: run, stall_seconds: stall, wait_seconds: wait, max_budget_usd: budgetUsd } = body;
  return {
    ...(typeof run === 'number' ? { runMs: run * 1000 } : {}),
    ...(typeof stall === 'number' ? { stallMs: stall * 1000 } : {}),
    ...(typeof wait === 'number' ? { waitMs: wait * 1000 } : {}),
    ...(typeof budgetUsd === 'number' ? { budgetUsd } : {}),
  };
}
