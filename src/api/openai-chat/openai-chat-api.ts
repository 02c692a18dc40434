/** OpenAI's chat completions, whole and streamed, served by prewarmed and idle agents. */
import { z } from 'zod';
import { ServiceError } from '../../errors.ts';
import { frameOf, jsonLine } from '../../http/sse.ts';
import { follow } from '../../runs/follow.ts';
import type { Outcome } from '../../task.ts';
import type { AgentEventKind, Api, Asked, ChatRun, ReadContext } from '../api.ts';
import { AnswerText, usedEvents } from './answer-text.ts';
import { createChunks } from './chunks.ts';
import { type AnswerHead, completionOf } from './completion.ts';
import { errorBody } from './error-body.ts';
import { type ChatRequest, readChatRequest } from './read-chat-request.ts';
import { chatRequestShape } from './request-shape.ts';

/** What a request says about its answer. */
export type ChatView = Pick<ChatRequest, 'requestedModel' | 'stop' | 'includeUsage'> & {
  formatted: boolean;
  agentEvents: ReadonlySet<AgentEventKind>;
};

export const openaiChatApi: Api<ChatView> = {
  name: 'openai',
  bases: ['/openai/v1', '/openai'],
  path: '/chat/completions',
  policy: { whenBusy: 'queue', reuse: 'kept', settle: 'at_outcome' },
  runIdPrefix: 'chatcmpl',
  read: async (body, context) => askedOf(await readChatRequest(body, context), context),
  whole: wholeAnswer,
  async *stream(run, view, signal) {
    const chunks = createChunks(headOf(run, view), view.includeUsage);
    const answer = new AnswerText(view);
    let broken: ServiceError | undefined;
    yield frameOf(chunks.role);
    for await (const event of follow(run.log, 0, signal)) {
      // The run may have ended already, because this reader can be behind.
      if (event.type === 'text_dropped') {
        broken = brokenOff();
        run.stop(broken);
      }
      const piece = answer.pieceOf(event);
      if (piece) yield frameOf(chunks.text(piece.channel, piece.text));
    }
    if (signal.aborted) return;
    const end = await run.ended;
    // After an error there is no finish chunk and no `[DONE]`, because these mean that the answer is complete.
    if (end.state === 'failed') return yield frameOf(jsonLine(errorBody(end.error)));
    if (broken) return yield frameOf(jsonLine(errorBody(broken)));
    const { piece, finish } = answer.conclude(end.outcome);
    const usage = chunks.usage(end.outcome);
    yield [
      ...(piece ? [chunks.text(piece.channel, piece.text)] : []),
      chunks.finish(finish, end.outcome),
      ...(usage ? [usage] : []),
      '[DONE]',
    ]
      .map(frameOf)
      .join('');
  },
  keepAlive: (run, view) => createChunks(headOf(run, view), view.includeUsage).empty,
  error: errorBody,
  about: {
    summary: 'A chat completion, whole or streamed',
    body: () => z.toJSONSchema(chatRequestShape, { target: 'openapi-3.0', io: 'input' }),
  },
};

export function askedOf(chat: ChatRequest, { agentEvents }: ReadContext): Asked<ChatView> {
  const { requestedModel, model, conversation, effort, outputSchema, stream, stop, includeUsage, ignored, user } = chat;
  const formatted = outputSchema !== undefined;
  return {
    task: { model, ...conversation, ...(effort && { effort }), ...(outputSchema && { outputSchema }) },
    view: { requestedModel, stop, includeUsage, formatted, agentEvents },
    stream,
    events: usedEvents({ agentEvents, formatted }),
    ignored,
    ...(user !== undefined && { user }),
  };
}

/** Returns the error of a stream whose text was dropped in part. A text that was sent cannot be taken back. */
function brokenOff(): ServiceError {
  return new ServiceError(
    'model_unavailable',
    "Cannot finish the stream: the model's response broke off and began anew",
  );
}

export function wholeAnswer(run: ChatRun, outcome: Outcome, view: ChatView): string {
  return JSON.stringify(completionOf(headOf(run, view), outcome, view.stop));
}

function headOf(run: ChatRun, { requestedModel }: ChatView): AnswerHead {
  return { id: run.id, created: Math.floor(run.createdAt / 1000), model: requestedModel };
}
