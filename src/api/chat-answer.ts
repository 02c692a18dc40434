/** Gives the outcome of a run to one client, as one JSON body or as a stream of chunks. */
import type { FastifyReply } from 'fastify';
import { ServiceError } from '../errors.ts';
import { watchAnswer } from '../http/client-gone.ts';
import type { HttpSettings } from '../http/deps.ts';
import { headerText } from '../http/replies.ts';
import { type EventStream, frameOf, openEventStream } from '../http/sse.ts';
import type { RunEnd, SharedRun } from '../runs/shared-run.ts';
import { errorBody } from './error-bodies.ts';
import { jsonLine } from './json-line.ts';
import type { ChatRequest } from './openai-chat/chat-request.ts';
import { type Chunks, createChunks } from './openai-chat/chunks.ts';
import { completionOf } from './openai-chat/completion.ts';
import type { Piece } from './openai-chat/speech.ts';

type Answer = { run: SharedRun; chat: ChatRequest; reply: FastifyReply; settings: HttpSettings };

/** Characters of what a late reader has missed that go into one chunk. */
const catchUpLength = 16_384;

/** Settles when the answer is handed over, or throws what the client is to be told. */
export async function answerWhole({ run, chat, reply }: Answer): Promise<void> {
  const end = await Promise.race([run.ended, join(run, reply)]);
  tellFacts(reply, run);
  if (end.state === 'failed') throw end.error;
  if (end.outcome.costUsd !== undefined) reply.header('x-cost-usd', String(end.outcome.costUsd));
  void reply.send(JSON.stringify(completionOf(run.head, end.outcome, chat.stop)));
}

/**
 * The answer begins when the agent starts to work: a client that is told of an error before may ask again, one that is
 * told inside a stream does not, and by then that would be a second run.
 */
export async function answerStreamed({ run, chat, reply, settings }: Answer): Promise<void> {
  const gone = join(run, reply);
  await Promise.race([run.begun, silenceLimit(settings, run), gone]);
  tellFacts(reply, run);
  if (run.end?.state === 'failed' && !run.working) throw run.end.error;
  const chunks = createChunks(run.head, chat.includeUsage);
  const stream: EventStream = openEventStream(reply, {
    keepAlive: keepAlive(settings, chunks),
    slowReaderMs: settings.slowReaderSeconds * 1000,
    onDrain: () => pump(),
  });
  stream.send(frameOf(chunks.role));
  const pump = pumpOf(run, chunks, stream);
  const stopListening = run.listen(pump);
  reply.raw.once('close', stopListening);
  pump();
}

/** Sends what is there and not yet sent, as far as the reader takes it, and the end once that is all. */
function pumpOf(run: SharedRun, chunks: Chunks, stream: EventStream): () => void {
  let next = 0;
  let ended = false;
  return () => {
    while (!ended && !stream.blocked && next < run.pieces.length) {
      const { piece, count } = take(run.pieces, next);
      next += count;
      stream.send(frameOf(chunks.text(piece.channel, piece.text)));
    }
    if (ended || stream.blocked || !run.end) return;
    ended = true;
    stream.end(lastFrames(run.end, chunks));
  };
}

/** Usually the one new piece; for a reader that is behind, as many of a kind as go into one chunk. */
function take(pieces: Piece[], from: number): { piece: Piece; count: number } {
  const first = pieces[from] as Piece;
  let { text } = first;
  let count = 1;
  for (let piece = pieces[from + 1]; piece; piece = pieces[from + count]) {
    if (piece.channel !== first.channel || text.length + piece.text.length > catchUpLength) break;
    text += piece.text;
    count += 1;
  }
  return { piece: { channel: first.channel, text }, count };
}

/** An error has no finish chunk and no `[DONE]`: those would say that the answer is whole. */
function lastFrames(end: RunEnd, chunks: Chunks): string {
  if (end.state === 'failed') return frameOf(jsonLine(errorBody(end.error, 'openai')));
  const usage = chunks.usage(end.outcome);
  return [chunks.finish(end.finish, end.outcome), ...(usage ? [usage] : []), '[DONE]'].map(frameOf).join('');
}

/** Counts the client among those that wait for the run. Rejects when it goes away before it has its answer. */
function join(run: SharedRun, reply: FastifyReply): Promise<never> {
  const leave = run.join();
  return new Promise<never>((_resolve, reject) => {
    watchAnswer(reply, {
      delivered() {
        run.delivered ||= reply.raw.statusCode === 200;
        leave('answered');
      },
      gone() {
        leave('gone');
        reject(new ServiceError('client_gone', 'Cannot answer: the client has gone'));
      },
    });
  });
}

function tellFacts(reply: FastifyReply, run: SharedRun): void {
  reply.header('x-run-id', run.head.id).type('application/json; charset=utf-8');
  if (!run.sync) return;
  const { state, detail } = run.sync;
  reply.header('x-workspace-sync', headerText(state === 'failed' && detail ? `${state}: ${detail}` : state));
}

/** Settles when a client would drop a connection that is silent for much longer; before that an error is still an error. */
function silenceLimit(settings: HttpSettings, run: SharedRun): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, settings.jsonAnswerSeconds * 1000);
    void run.begun.then(() => clearTimeout(timer));
  });
}

function keepAlive({ streamKeepAlive, streamKeepAliveSeconds }: HttpSettings, chunks: Chunks) {
  if (streamKeepAlive === 'off') return undefined;
  const frame = streamKeepAlive === 'chunk' ? frameOf(chunks.empty) : ': keep-alive\n\n';
  return { frame, everyMs: streamKeepAliveSeconds * 1000 };
}
