/** Finds the run that answers a request: a run that goes on, a run that has ended lately, or a new run. */
import { createHash, randomUUID } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { ServiceError } from '../errors.ts';
import type { JsonBody } from '../http/json-body.ts';
import { Audience } from '../runs/audience.ts';
import type { RunTask } from '../runs/choose-machine.ts';
import { MemoryLog } from '../runs/memory-log.ts';
import type { Repeats, RequestMark } from '../runs/repeats.ts';
import { Run } from '../runs/run.ts';
import type { Task } from '../task.ts';
import { type AgentEventKind, type AnyApi, type Asked, agentEventKinds, type ChatRun, type Policy } from './api.ts';
import { idempotencyKeyOf } from './idempotency-key.ts';

/** Settings, with the names that they have in the configuration. */
export type RunSettings = {
  chatAgent: string | undefined;
  chatBudgetUsd: number;
  chatTimeoutSeconds: number;
  jsonAnswerSeconds: number;
  clientGraceSeconds: number;
};

export type StartRunDeps = {
  settings: RunSettings;
  run: RunTask;
  repeats: Repeats;
  /** Returns the error with which a run would be refused now. Returns `undefined` if it would start or wait. */
  refusal(task: Pick<Task, 'kind' | 'owner'>, whenBusy: Policy['whenBusy']): ServiceError | undefined;
};

/** @returns `repeat` is true if the run existed before this request */
export function findOrStartRun(
  { settings, run: runTask, repeats }: StartRunDeps,
  api: AnyApi,
  asked: Asked<unknown>,
  request: FastifyRequest,
): { audience: Audience; repeat: boolean } {
  const mark = markOf(api, request);
  const known = repeats.find(mark);
  if (known) return { audience: known, repeat: true };
  const task = taskOf(api, asked, request, settings);
  // An answer that is not streamed needs no events, only the outcome.
  const log = new MemoryLog(asked.stream ? asked.events : new Map());
  const { whenBusy, settle } = api.policy;
  const run = new Run(task.id, log, (context) => runTask(task, { ...context, whenBusy, settle }));
  const audience = new Audience(run, { streamed: asked.stream, graceMs: settings.clientGraceSeconds * 1000 });
  if (!asked.stream) limitSilence(run, settings.jsonAnswerSeconds);
  repeats.remember(mark, audience);
  return { audience, repeat: false };
}

/** Reads the header `x-agent-events: tools, thinking`. */
export function agentEventsOf(request: FastifyRequest): ReadonlySet<AgentEventKind> {
  const words = String(request.headers['x-agent-events'] ?? '').split(/[ ,]+/);
  return new Set(agentEventKinds.filter((kind) => words.includes(kind)));
}

function taskOf(api: AnyApi, asked: Asked<unknown>, { owner }: FastifyRequest, settings: RunSettings): Task {
  const { chatAgent, chatBudgetUsd, chatTimeoutSeconds } = settings;
  return {
    ...asked.task,
    id: `${api.runIdPrefix}-${randomUUID()}`,
    kind: 'chat',
    owner,
    ...(chatAgent ? { agent: chatAgent } : {}),
    reuse: api.policy.reuse,
    limits: { runMs: chatTimeoutSeconds * 1000, stallMs: 0, budgetUsd: chatBudgetUsd },
  };
}

/**
 * Throws the error with which a run of the request would be refused now, if no run can be joined. Called before a large
 * body is read.
 */
export function refuseWithoutBody(
  { repeats, refusal }: StartRunDeps,
  api: AnyApi,
  request: FastifyRequest,
  bytes: number | undefined,
): void {
  const scope = scopeOf(api, request);
  const key = idempotencyKeyOf(request);
  const idempotencyKey = key === undefined ? undefined : `${scope} ${key}`;
  if (repeats.mayFind({ scope, bytes, idempotencyKey })) return;
  const error = refusal({ kind: 'chat', owner: request.owner }, api.policy.whenBusy);
  if (error) throw error;
}

function scopeOf(api: AnyApi, { owner }: FastifyRequest): string {
  return `${owner} ${api.name}`;
}

/** Returns what identifies repeats of the request. Throws `invalid_request`. */
function markOf(api: AnyApi, request: FastifyRequest): RequestMark {
  const scope = scopeOf(api, request);
  const { raw } = request.body as JsonBody;
  const digest = createHash('sha256')
    .update(`${scope} ${[...agentEventsOf(request)].join()}\n`)
    .update(raw)
    .digest('base64');
  const key = idempotencyKeyOf(request);
  return {
    digest,
    scope,
    bytes: raw.length,
    idempotencyKey: key === undefined ? undefined : `${scope} ${key}`,
    // The official clients count their attempts in this header.
    retry: Number(request.headers['x-stainless-retry-count'] ?? 0) >= 1,
  };
}

/**
 * Ends the run after the given time. Clients on Node drop an answer that has not begun after 300 s, and then repeat the
 * request.
 */
function limitSilence(run: ChatRun, seconds: number): void {
  const timer = setTimeout(() => {
    const why = `no answer after ${seconds} s, the limit for one that is not streamed; stream it, or use POST /execute`;
    run.stop(new ServiceError('agent_timeout', `Cannot wait for the agent: ${why}`));
  }, seconds * 1000);
  void run.ended.then(() => clearTimeout(timer));
}
