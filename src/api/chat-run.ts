/** From a chat request to the run that answers it: the one that goes on already, one that ended lately, or a new one. */
import { createHash, randomUUID } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { ServiceError } from '../errors.ts';
import type { ServerDeps } from '../http/deps.ts';
import type { JsonBody } from '../http/json-body.ts';
import { redact } from '../redact.ts';
import type { Repeats, RequestMark } from '../runs/repeats.ts';
import { SharedRun } from '../runs/shared-run.ts';
import type { Outcome, Owner, Task } from '../task.ts';
import type { Door } from './doors.ts';
import { invalid } from './invalid.ts';
import { promptOf } from './native/prompt.ts';
import type { ChatRequest } from './openai-chat/chat-request.ts';
import { type Follow, followable, Speech } from './openai-chat/speech.ts';

export type ChatRuns = { deps: ServerDeps; repeats: Repeats };

/** @returns `repeat`: the run was there before this request */
export function runFor(
  { deps, repeats }: ChatRuns,
  door: Door,
  chat: ChatRequest,
  request: FastifyRequest,
): { run: SharedRun; repeat: boolean } {
  const { owner } = request;
  const follow = followed(request);
  const mark = markOf(request, owner, door, follow);
  const known = repeats.find(mark);
  if (known) return { run: known, repeat: true };
  const task = taskOf(chat, door, deps, owner);
  const run = new SharedRun({
    head: { id: task.id, created: Math.floor(Date.now() / 1000), model: chat.asked },
    start: async (options) => {
      const outcome = await deps.run(task, { ...options, whenBusy: door.whenBusy, settle: door.settle });
      return door.name === 'native' ? withoutRefusal(outcome) : outcome;
    },
    speech: new Speech({ stop: chat.stop, follow, formatted: task.outputSchema !== undefined }),
    streamed: chat.stream,
    graceMs: deps.settings.clientGraceSeconds * 1000,
  });
  if (!chat.stream) limitSilence(run, deps.settings.jsonAnswerSeconds);
  repeats.keep(mark, run);
  return { run, repeat: false };
}

/** In the native API a refusal of the model is an error. Throws `agent_failed`. */
function withoutRefusal(outcome: Outcome): Outcome {
  if (outcome.stopReason !== 'refusal') return outcome;
  const { usage, costUsd, models, turns, sessionId, exitCode } = outcome;
  const spent = { usage, costUsd, models, turns, sessionId };
  throw new ServiceError('agent_failed', redact(outcome.text) || 'The model refused to answer', { exitCode, spent });
}

function taskOf(chat: ChatRequest, door: Door, deps: ServerDeps, owner: Owner): Task {
  const { chatAgent, chatBudgetUsd, chatTimeoutSeconds } = deps.settings;
  const shared = {
    id: `chatcmpl-${randomUUID()}`,
    kind: 'chat' as const,
    owner,
    model: chat.model,
    ...(chatAgent ? { agent: chatAgent } : {}),
    ...(chat.effort ? { effort: chat.effort } : {}),
    ...(chat.outputSchema ? { outputSchema: chat.outputSchema } : {}),
    limits: { runMs: chatTimeoutSeconds * 1000, stallMs: 0, budgetUsd: chatBudgetUsd },
  };
  if (door.launch === 'session') return { ...shared, reuse: 'kept', ...chat.conversation };
  const prompt = promptOf(chat.conversation);
  return { ...shared, reuse: 'none', messages: [{ role: 'user', blocks: [{ type: 'text', text: prompt }] }] };
}

/** What tells repeats of a request from other requests. */
function markOf(request: FastifyRequest, owner: Owner, door: Door, follow: ReadonlySet<Follow>): RequestMark {
  const scope = `${owner} ${door.name}`;
  const digest = createHash('sha256')
    .update(`${scope} ${[...follow].join()}\n`)
    .update((request.body as JsonBody).raw)
    .digest('base64');
  const key = request.headers['idempotency-key'];
  if (key !== undefined && (typeof key !== 'string' || key === '' || key.length > 255)) {
    throw invalid('Idempotency-Key', 'must be 1 to 255 characters');
  }
  return {
    digest,
    idempotencyKey: key === undefined ? undefined : `${scope} ${key}`,
    // The official clients count their attempts.
    retry: Number(request.headers['x-stainless-retry-count'] ?? 0) >= 1,
  };
}

/** `x-agent-events: tools, thinking`. */
function followed(request: FastifyRequest): ReadonlySet<Follow> {
  const words = String(request.headers['x-agent-events'] ?? '').split(/[ ,]+/);
  return new Set(followable.filter((name) => words.includes(name)));
}

/** Clients on Node drop an answer that has not begun after 300 s, and then ask again. */
function limitSilence(run: SharedRun, seconds: number): void {
  const timer = setTimeout(() => {
    const why = `no answer after ${seconds} s, the limit for one that is not streamed; stream it, or use POST /execute`;
    run.stop(new ServiceError('agent_timeout', `Cannot wait for the agent: ${why}`));
  }, seconds * 1000);
  void run.ended.then(() => clearTimeout(timer));
}
