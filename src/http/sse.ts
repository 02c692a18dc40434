/**
 * Sends server-sent events over one response: obeys backpressure, fills silence, and cuts off a reader that has
 * stopped.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';
import { goneSignal } from './client-gone.ts';

/** A frame that is sent whenever nothing else was sent for `everyMs` milliseconds. */
export type SilenceFrame = { frame: string; everyMs: number };

export type SendOptions = {
  /** The frame for silence. Undefined if nothing is sent then. */
  silence: SilenceFrame | undefined;
  /** How long the reader may read nothing before it is cut off, in milliseconds. */
  slowReaderMs: number;
};

/** Returns the frame of one event. `json` must not contain a line break. */
export function frameOf(json: string): string {
  return `data: ${json}\n\n`;
}

/** Characters that JSON allows in strings, although they end a line for some clients. */
const lineEnds = /[\u0085\u2028\u2029]/g;

/** Returns JSON without any character that ends a line for some client. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replace(
    lineEnds,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * Sends the headers at once, then the frames. Asks for the next frame only when the reader takes more. Settles when the
 * answer has ended or the reader has gone. If `frames` throws, cuts off the reader and throws the same error.
 * @param frames must end soon after its signal aborts, which happens when the reader has gone
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
  // The event `close` reports a reader that has gone. Errors of later writes add nothing to that.
  response.on('error', () => {});
  return response;
}

class FrameWriter {
  readonly #response: ServerResponse;
  readonly #slowReaderMs: number;
  #silent = false;
  /** Settles when the reader has caught up. Undefined if the reader is not behind. */
  #unread: Promise<void> | undefined;

  constructor(response: ServerResponse, slowReaderMs: number) {
    this.#response = response;
    this.#slowReaderMs = slowReaderMs;
  }

  /** Sends a frame. Returns a promise if the reader is behind; it settles when the reader has caught up or has gone. */
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
