/** The chat route of both doors: read the request, find or start its run, answer. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { watchAnswer } from '../http/client-gone.ts';
import type { JsonBody } from '../http/json-body.ts';
import { answerStreamed, answerWhole } from './chat-answer.ts';
import { type ChatRuns, runFor } from './chat-run.ts';
import type { Door } from './doors.ts';
import type { Models } from './models.ts';
import { readChatRequest } from './openai-chat/chat-request.ts';

export function chatRoutes(server: FastifyInstance, door: Door, models: Models, runs: ChatRuns): void {
  const { settings, schemaProblem } = runs.deps;

  async function answer(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const chat = await readChatRequest((request.body as JsonBody | undefined)?.value, {
      models,
      noStreaming: door.noStreaming,
      ignoredParams: settings.ignoredParams,
      schemaProblem: (json) => schemaProblem(request.owner, json, goneSignal(reply)),
    });
    if (chat.ignored.length > 0) reply.header('x-ignored-params', chat.ignored.join(','));
    const { run, repeat } = runFor(runs, door, chat, request);
    // It may be megabytes, and the run may take a quarter of an hour.
    request.body = undefined;
    if (repeat) {
      const how = run.end ? 'the answer of' : 'joined';
      reply.header('x-repeat', `${how} run ${run.head.id}; a new Idempotency-Key starts another run`);
    }
    request.facts = {
      ...request.facts,
      runId: run.head.id,
      model: chat.model,
      stream: chat.stream,
      ...(repeat ? { repeat } : {}),
      ...(chat.ignored.length > 0 ? { ignoredParams: chat.ignored } : {}),
      ...(chat.user ? { user: chat.user } : {}),
    };
    const give = chat.stream ? answerStreamed : answerWhole;
    await give({ run, chat, reply, settings });
    return reply;
  }

  for (const prefix of door.prefixes) {
    server.post(`${prefix}/chat/completions`, { config: { dialect: door.dialect } }, answer);
  }
}

/** Aborts when the client goes away before it is answered. */
function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  watchAnswer(reply, { delivered: () => {}, gone: () => gone.abort() });
  return gone.signal;
}
