/** Server-sent events over one response: obeys backpressure, keeps silence short, and gives up on a reader that stopped. */
import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';

export type EventStreamOptions = {
  /** Sent, framed already, whenever nothing was for this long; `undefined`: nothing is. */
  keepAlive: { frame: string; everyMs: number } | undefined;
  /** How long the reader may leave what was sent unread before it is cut off. */
  slowReaderMs: number;
  /** The reader takes more again. */
  onDrain: () => void;
};

export type EventStream = {
  /** The reader is behind: what is sent now is held in memory. */
  readonly blocked: boolean;
  send(frame: string): void;
  end(frame: string): void;
};

/** One event; `json` holds no line break. */
export function frameOf(json: string): string {
  return `data: ${json}\n\n`;
}

/** Takes the response over from Fastify and sends the headers at once. */
export function openEventStream(reply: FastifyReply, options: EventStreamOptions): EventStream {
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
  return new ResponseEvents(response, options);
}

class ResponseEvents implements EventStream {
  readonly #response: ServerResponse;
  readonly #slowReaderMs: number;
  #silent = false;
  /** Runs while something is unread. */
  #patience: NodeJS.Timeout | undefined;

  constructor(response: ServerResponse, { keepAlive, slowReaderMs, onDrain }: EventStreamOptions) {
    this.#response = response;
    this.#slowReaderMs = slowReaderMs;
    const silence = keepAlive && setInterval(() => this.#breakSilence(keepAlive.frame), keepAlive.everyMs);
    response.on('drain', () => {
      this.#stopWaiting();
      onDrain();
    });
    // A reader that is gone is told of by `close`; what is still written to it is nobody's loss.
    response.on('error', () => {});
    response.once('close', () => {
      clearInterval(silence);
      this.#stopWaiting();
    });
  }

  get blocked(): boolean {
    return this.#patience !== undefined;
  }

  send(frame: string): void {
    if (this.#response.destroyed) return;
    this.#silent = false;
    if (!this.#response.write(frame)) this.#waitForReader();
  }

  end(frame: string): void {
    if (this.#response.destroyed) return;
    this.#response.end(frame);
    if (!this.#response.writableFinished) this.#waitForReader();
  }

  #breakSilence(frame: string): void {
    if (this.#silent && !this.blocked && !this.#response.writableEnded) this.send(frame);
    this.#silent = true;
  }

  #waitForReader(): void {
    this.#patience ??= setTimeout(() => this.#response.destroy(), this.#slowReaderMs);
  }

  #stopWaiting(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
  }
}
