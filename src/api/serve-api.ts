/** Serves an API: reads a request, finds or starts its run, and sends the answer, whole or as a stream. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ServiceError } from '../errors.ts';
import { goneSignal, watchAnswer } from '../http/client-gone.ts';
import type { JsonBody } from '../http/json-body.ts';
import { nameIgnored, unknownQuery } from '../http/query.ts';
import { headerText } from '../http/replies.ts';
import { frameOf, type SilenceFrame, sendFrames } from '../http/sse.ts';
import type { Audience } from '../runs/audience.ts';
import type { Owner, SyncReport } from '../task.ts';
import { pause } from '../waits.ts';
import type { AnyApi, Asked, ChatRun } from './api.ts';
import type { Models } from './models.ts';
import { agentEventsOf, findOrStartRun, type RunSettings, refuseWithoutBody, type StartRunDeps } from './start-run.ts';

export type AnswerSettings = RunSettings & {
  ignoredParams: 'accept' | 'reject';
  streamKeepAlive: 'chunk' | 'comment' | 'off';
  streamKeepAliveSeconds: number;
  slowReaderSeconds: number;
};

export type AnswerDeps = StartRunDeps & {
  settings: AnswerSettings;
  models: Models;
  /**
   * Returns why a JSON Schema cannot be used. Returns `undefined` if it can be used. Throws `schemas_waiting`,
   * `shutting_down`, or `client_gone` if `signal` aborts.
   */
  schemaProblem(owner: Owner, json: string, signal: AbortSignal): Promise<string | undefined>;
  /** Called with an error that broke off a stream. */
  onBroken(request: FastifyRequest, error: unknown): void;
};

export function answerRoutes(server: FastifyInstance, api: AnyApi, deps: AnswerDeps): void {
  const { models, schemaProblem } = deps;

  async function answer(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const asked = await api.read((request.body as JsonBody | undefined)?.value, {
      models,
      owner: request.owner,
      ignoredParams: deps.settings.ignoredParams,
      agentEvents: agentEventsOf(request),
      unknownQuery: unknownQuery(request),
      schemaProblem: (json) => schemaProblem(request.owner, json, goneSignal(reply)),
    });
    const ignored = nameIgnored(reply, asked.ignored);
    const { audience, repeat } = findOrStartRun(deps, api, asked, request);
    // The body may have megabytes, and the run may take a quarter of an hour.
    request.freeBody();
    const { run } = audience;
    if (repeat) {
      const how = run.end ? 'the answer of' : 'joined';
      reply.header('x-repeat', `${how} run ${run.id}; a new Idempotency-Key starts another run`);
    }
    request.facts = { ...request.facts, ...factsOf(run, asked, ignored, repeat) };
    const exchange: Exchange = { api, asked, audience, reply };
    if (asked.stream) await answerStream(exchange, deps.settings, (error) => deps.onBroken(request, error));
    else await answerWhole(exchange);
    return reply;
  }

  const refuseEarly = async (request: FastifyRequest, bytes: number | undefined) =>
    refuseWithoutBody(deps, api, request, bytes);
  const options = { config: { errorBody: api.error, foreignQuery: true, refuseEarly } };
  for (const base of api.bases) server.post(`${base}${api.path}`, options, answer);
}

type Exchange = { api: AnyApi; asked: Asked<unknown>; audience: Audience; reply: FastifyReply };

/** Returns the facts for the log line of the request. */
function factsOf(run: ChatRun, { task, stream, user }: Asked<unknown>, ignored: string[], repeat: boolean) {
  return {
    runId: run.id,
    model: task.model,
    stream,
    ...(repeat ? { repeat } : {}),
    ...(ignored.length > 0 ? { ignoredParams: ignored } : {}),
    ...(user ? { user } : {}),
  };
}

/** Sends the whole answer. Throws the error that must be sent to the client instead. */
async function answerWhole({ api, asked, audience, reply }: Exchange): Promise<void> {
  const { run } = audience;
  const end = await Promise.race([run.ended, joinUntilGone(audience, reply)]);
  setFacts(reply, run);
  if (end.state === 'failed') throw end.error;
  const { outcome } = end;
  const body = api.whole(run, outcome, asked.view);
  if (outcome.costUsd !== undefined) reply.header('x-cost-usd', String(outcome.costUsd));
  void reply.send(body);
}

/**
 * Sends the answer as a stream, which begins when the agent starts to work. An error before that is sent with its own
 * HTTP status, and the client may retry. A later error is sent inside the stream. Clients do not retry such an error,
 * which is right, because a retry would be a second run.
 */
async function answerStream(
  { api, asked, audience, reply }: Exchange,
  settings: AnswerSettings,
  onBroken: (error: unknown) => void,
): Promise<void> {
  const { run } = audience;
  await Promise.race([firstSign(run, settings.jsonAnswerSeconds), joinUntilGone(audience, reply)]);
  setFacts(reply, run);
  if (run.end?.state === 'failed' && !run.working) throw run.end.error;
  await sendFrames(reply, (signal) => api.stream?.(run, asked.view, signal) ?? [], {
    silence: silenceFrame(settings, api.keepAlive?.(run, asked.view)),
    slowReaderMs: settings.slowReaderSeconds * 1000,
  }).catch(onBroken);
}

/** Counts the client as waiting for the run. Rejects if the client disconnects before it has the whole answer. */
function joinUntilGone(audience: Audience, reply: FastifyReply): Promise<never> {
  const leave = audience.join();
  return new Promise<never>((_resolve, reject) => {
    watchAnswer(reply, {
      delivered() {
        audience.delivered ||= reply.raw.statusCode === 200;
        leave('answered');
      },
      gone() {
        leave('gone');
        reject(new ServiceError('client_gone'));
      },
    });
  });
}

function setFacts(reply: FastifyReply, run: ChatRun): void {
  reply.header('x-run-id', run.id).type('application/json; charset=utf-8');
  if (run.sync) reply.header('x-workspace-sync', headerText(syncText(run.sync)));
}

/**
 * Returns the value of the header: `failed: REASON; NOTE; NOTE`. The reason for `off` is left out, since the settings
 * show it.
 */
function syncText({ state, detail, notes = [] }: SyncReport): string {
  return [state === 'failed' && detail ? `${state}: ${detail}` : state, ...notes].join('; ');
}

/** Settles when the agent starts to work, but before clients would drop the silent connection. */
async function firstSign(run: ChatRun, seconds: number): Promise<void> {
  const begun = new AbortController();
  await Promise.race([run.begun, pause(seconds * 1000, begun.signal)]).finally(() => begun.abort());
}

function silenceFrame(settings: AnswerSettings, frame: string | undefined): SilenceFrame | undefined {
  const { streamKeepAlive, streamKeepAliveSeconds } = settings;
  if (streamKeepAlive === 'off') return undefined;
  const comment = ': keep-alive\n\n';
  return {
    frame: streamKeepAlive === 'chunk' && frame ? frameOf(frame) : comment,
    everyMs: streamKeepAliveSeconds * 1000,
  };
}
