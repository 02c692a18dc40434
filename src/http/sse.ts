/** Server-sent events over one response: obeys backpressure, fills silence, and gives up on a reader that stopped. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';
import { goneSignal } from './client-gone.ts';

/** Sent, framed already, whenever nothing else was sent for this long. */
export type SilenceFrame = { frame: string; everyMs: number };

export type SendOptions = {
  /** `undefined`: silence stays silent. */
  silence: SilenceFrame | undefined;
  /** How long the reader may leave what was sent unread before it is cut off. */
  slowReaderMs: number;
};

/** One event; `json` holds no line break. */
export function frameOf(json: string): string {
  return `data: ${json}\n\n`;
}

/** Three characters end a line for some readers of lines, although JSON lets them stand. */
const lineEnds = /[\u0085\u2028\u2029]/g;

/** JSON that is one line for every reader. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replace(
    lineEnds,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * Sends the headers at once, then each frame as soon as the reader takes it; a frame is asked for only then. Settles when
 * the answer has ended or the reader has gone. Throws the error of `frames`; the reader is cut off then.
 * @param frames ends soon when its signal aborts, which says that the reader has gone
 */
export async function sendFrames(
  reply: FastifyReply,
  frames: (signal: AbortSignal) => AsyncIterable<string> | Iterable<string>,
  { silence, slowReaderMs }: SendOptions,
): Promise<void> {
  const signal = goneSignal(reply);
  const response = takeOver(reply);
  const writer = new FrameWriter(response, slowReaderMs);
  const breakSilence = silence && setInterval(() => writer.breakSilence(silence.frame), silence.everyMs);
  try {
    for await (const frame of frames(signal)) {
      const unread = writer.write(frame);
      if (unread) await unread;
    }
    writer.end();
  } catch (error) {
    response.destroy();
    throw error;
  } finally {
    clearInterval(breakSilence);
  }
}

/** Takes the response over from Fastify and sends the headers. */
function takeOver(reply: FastifyReply): ServerResponse {
  reply.hijack();
  const response = reply.raw;
  response.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
  });
  response.flushHeaders();
  response.socket?.setNoDelay(true);
  // `close` tells that a reader is gone; an error of a later write says nothing more.
  response.on('error', () => {});
  return response;
}

class FrameWriter {
  readonly #response: ServerResponse;
  readonly #slowReaderMs: number;
  #silent = false;
  /** Pending while the reader is behind. */
  #unread: Promise<void> | undefined;

  constructor(response: ServerResponse, slowReaderMs: number) {
    this.#response = response;
    this.#slowReaderMs = slowReaderMs;
  }

  /** A promise: the reader is behind. It settles when the reader has caught up or is gone. */
  write(frame: string): Promise<void> | undefined {
    if (this.#response.destroyed) return undefined;
    this.#silent = false;
    if (!this.#response.write(frame)) this.#unread ??= this.#untilRead('drain');
    return this.#unread;
  }

  end(): void {
    if (this.#response.destroyed) return;
    this.#response.end();
    if (!this.#response.writableFinished) this.#unread ??= this.#untilRead('finish');
  }

  breakSilence(frame: string): void {
    if (this.#silent && !this.#unread && !this.#response.writableEnded) void this.write(frame);
    this.#silent = true;
  }

  async #untilRead(event: 'drain' | 'finish'): Promise<void> {
    const cutOff = setTimeout(() => this.#response.destroy(), this.#slowReaderMs);
    const settled = new AbortController();
    const { signal } = settled;
    await Promise.race([once(this.#response, event, { signal }), once(this.#response, 'close', { signal })]).catch(
      () => {},
    );
    settled.abort();
    clearTimeout(cutOff);
    this.#unread = undefined;
  }
}
