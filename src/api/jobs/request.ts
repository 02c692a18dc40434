/** A request for a job, read: the body of `POST /execute` and its `Idempotency-Key` become what the queue takes. */
import { z } from 'zod';
import { ServiceError } from '../../errors.ts';
import type { JobRequest } from '../../jobs/spec.ts';
import type { Owner } from '../../task.ts';
import { firstFault, fromZod, invalid } from '../invalid.ts';
import type { Models } from '../models.ts';

/** Seconds. The queue lets nothing run for longer. */
const longestRun = 23 * 3600;
const longestWait = 365 * 24 * 3600;

/** Names that the command line would take for a flag are refused, and so is what cannot stand in an argument. */
export const agentName = z
  .string()
  .regex(/^[^-\p{Cc}][^\p{Cc}]{0,199}$/u, 'must be a name of 1 to 200 characters that does not begin with "-"');

/** Unknown fields pass, null means absent. */
export const jobRequestShape = z.looseObject({
  prompt: z
    .string()
    .min(1)
    .refine((text) => text.trim() !== '', 'must not be empty'),
  agent: agentName.nullish().describe('A Claude Code agent definition; absent: JOB_AGENT.'),
  model: z.string().nullish().describe('Of GET /v1/models; absent: the default model of the server.'),
  effort: z.enum(['low', 'medium', 'high', 'xhigh', 'max']).nullish(),
  max_budget_usd: z
    .number()
    .min(0.01)
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
    .describe('The longest wait for a place; 0: no limit; absent: JOB_WAIT_SECONDS.'),
  metadata: z.looseObject({}).nullish().describe('Given back as it came.'),
  callback_url: z.string().nullish().describe('Gets a signed POST of the final record.'),
  priority: z
    .int()
    .min(-9)
    .max(9)
    .nullish()
    .describe("9 goes first; above 0 only with the operator's key; 0 unless said."),
  on_interrupt: z
    .enum(['mark', 'requeue'])
    .nullish()
    .describe('What becomes of the job when its server dies; absent: ON_INTERRUPT.'),
  deliver: z.literal('branch').nullish().describe('Commit and push the work to agent/{job_id}.'),
});

type JobBody = z.infer<typeof jobRequestShape>;

export type ReadJobOptions = { models: Models; owner: Owner; idempotencyKey: string | undefined };

/** Throws `invalid_json`, `invalid_request`, `unsupported_model`, in this order. */
export function readJobRequest(body: unknown, { models, owner, idempotencyKey }: ReadJobOptions): JobRequest {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ServiceError('invalid_json', 'Cannot read the request: the body must be a JSON object');
  }
  const parsed = jobRequestShape.safeParse(body, firstFault);
  if (!parsed.success) throw fromZod(parsed.error);
  const { prompt, agent, effort, callback_url, priority, on_interrupt, deliver } = parsed.data;
  // As it came: parsing drops names that JavaScript has a use for.
  const { metadata } = body as Pick<JobBody, 'metadata'>;
  const { model } = models.resolve(parsed.data.model);
  return {
    prompt,
    owner,
    model,
    limits: limitsOf(parsed.data),
    ...(agent ? { agent } : {}),
    ...(effort ? { effort } : {}),
    ...(metadata ? { metadata } : {}),
    ...(typeof callback_url === 'string' ? { callbackUrl: callback_url } : {}),
    ...(typeof priority === 'number' ? { priority } : {}),
    ...(on_interrupt ? { onInterrupt: on_interrupt } : {}),
    ...(deliver ? { deliver } : {}),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  };
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

/** How the fields of the queue are called here. */
const fieldNames: Record<string, string> = {
  callbackUrl: 'callback_url',
  idempotencyKey: 'Idempotency-Key',
  onInterrupt: 'on_interrupt',
  'limits.runMs': 'timeout_seconds',
  'limits.stallMs': 'stall_seconds',
  'limits.waitMs': 'wait_seconds',
  'limits.budgetUsd': 'max_budget_usd',
};

/** What the queue refused, under the name that the caller knows; anything else as it is. */
export function inCallersWords(thrown: unknown): unknown {
  if (!(thrown instanceof ServiceError) || thrown.code !== 'invalid_request') return thrown;
  const { param } = thrown.extra;
  if (param === undefined) return thrown;
  const problem = /: (.*) \([\w.]+\)$/.exec(thrown.message)?.[1] ?? 'it cannot be used';
  return invalid(fieldNames[param] ?? param, problem);
}
